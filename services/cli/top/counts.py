"""The table of what happened to each captured frame, and lines about what is missing."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from emostream.services.cli.top.table import new_table
from emostream.shared.account import LATE
from emostream.shared.frame_counts import SKEW, FrameCounts

# The columns of the sum, in two lines each so that they fit.
SUM = (
    *("captured\n=", "answered\n+", "late\n+", "dropped\n+", "lost\n+"),
    *("lost with\nprocess +", "in\nflight"),
)


def counts_table(counts: Sequence[FrameCounts]) -> Table:
    title = "what happened to each captured frame since the processes started"
    table = new_table(title, "path", "stream")
    for column in SUM:
        table.add_column(column, justify="right", no_wrap=True)
    for one in counts:
        late, dropped = _late_and_dropped(one)
        gone = (late, dropped, one.lost, one.lost_with_process)
        numbers = (one.captured, one.answered, *(sum(term.values()) for term in gone))
        table.add_row(
            one.path,
            _stream(one),
            *map(str, numbers),
            Text(str(one.in_flight), "yellow" if one.in_flight < -SKEW else ""),
        )
    return table


def _stream(one: FrameCounts) -> str:
    return one.stream if one.part is None else f"{one.stream} part {one.part}"


def _late_and_dropped(one: FrameCounts) -> tuple[dict[str, int], dict[str, int]]:
    """Return the frames sent before each stage listened, and those dropped, with the reason."""
    late = {stage: count for (stage, reason), count in one.dropped.items() if reason == LATE}
    dropped = {
        f"{stage} {reason}": count
        for (stage, reason), count in one.dropped.items()
        if reason != LATE
    }
    return late, dropped


def is_short(one: FrameCounts) -> bool:
    return bool(one.dropped or one.lost or one.lost_with_process or one.unexplained)


def causes(one: FrameCounts) -> Text:
    late, dropped = _late_and_dropped(one)
    found = [
        f"{what} {', '.join(f'{where} {count}' for where, count in counts.items())}"
        for what, counts in (
            ("sent before it listened:", late),
            ("dropped by", dropped),
            ("lost before", one.lost),
            ("lost with a process:", one.lost_with_process),
        )
        if counts
    ]
    if one.unexplained:
        found.append(f"unexplained: {one.unexplained}")
    return Text(f"{one.path}, {_stream(one)}: {'; '.join(found)}", "dim")
