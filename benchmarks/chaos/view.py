"""The table of a run's figures, and whether each is within its limit."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.chaos.disturbance import Disturbance
from benchmarks.chaos.findings import growth, unexplained
from benchmarks.chaos.plan import Kind
from emostream.services.cli.bench.result_file import Figure, figure
from emostream.shared.frame_counts import FrameCounts

MAX_GROWTH = 0.1
PLAIN_WIDTH = 160


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run."""

    disturbances: Sequence[Disturbance]
    results: int
    sums: Sequence[FrameCounts]
    videos: int
    unreadable: Sequence[str]
    credited: int
    missing_rows: int
    memory_before: Mapping[str, float]
    memory_after: Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """One figure, its limit, and whether it is met."""

    what: str
    figure: str
    needed: str
    is_good: bool


def rows(outcome: Outcome) -> Iterator[Row]:
    """Yield every figure of the run."""
    yield from _recoveries(outcome.disturbances)
    yield Row("results heard", f"{outcome.results:,}", "some", outcome.results > 0)
    yield from map(_sum, outcome.sums)
    if not outcome.sums:
        yield Row("unexplained", "no sum", "a sum", is_good=False)
    opened = outcome.videos - len(outcome.unreadable)
    good = opened == outcome.videos > 0
    yield Row("mp4 files that open", f"{opened} of {outcome.videos}", "all", good)
    found = outcome.credited - outcome.missing_rows
    good = found == outcome.credited > 0
    yield Row("credited rows that exist", f"{found:,} of {outcome.credited:,}", "all", good)
    before, after = (sum(m.values()) for m in (outcome.memory_before, outcome.memory_after))
    change = growth(outcome.memory_before, outcome.memory_after)
    figure = f"{before:.0f} to {after:.0f} MB ({change:+.1%})"
    yield Row("memory of all stages", figure, f"{MAX_GROWTH:+.0%} at most", change <= MAX_GROWTH)


def figures(outcome: Outcome) -> dict[str, Figure]:
    """Return the figures by name, for a result file."""
    found = {
        "credited rows missing": figure([outcome.missing_rows], "rows"),
        "mp4 files that do not open": figure([len(outcome.unreadable)], "files"),
    }
    for kind in Kind:
        times = [one.recovery for one in outcome.disturbances if one.fault.kind is kind]
        if times:
            found[f"{kind.value}: works again after"] = figure(times, "s")
    for name, memory in (("before", outcome.memory_before), ("after", outcome.memory_after)):
        found[f"memory {name}"] = figure([sum(memory.values())], "MB resident")
    return found


def _recoveries(disturbances: Sequence[Disturbance]) -> Iterator[Row]:
    for kind in Kind:
        for limit in sorted({one.limit for one in disturbances if one.fault.kind is kind}):
            chosen = [one for one in disturbances if (one.fault.kind, one.limit) == (kind, limit)]
            times = [one.recovery for one in chosen]
            figure = f"{statistics.median(times):.1f} s, worst {max(times):.1f} s"
            what = f"{len(chosen)} x {kind.value}: works again after"
            yield Row(what, figure, f"{limit:g} s at most", max(times) <= limit)
            if not kind.is_of_process:
                gap = max(one.longest_gap for one in chosen)
                what = f"{kind.value}: longest time without a result"
                yield Row(what, f"{gap:.1f} s", f"{limit:g} s at most", gap <= limit)


def _sum(counts: FrameCounts) -> Row:
    left = unexplained(counts)
    terms = {
        "answered": counts.answered,
        "dropped": sum(counts.dropped.values()),
        "lost": sum(counts.lost.values()),
        "with a process": sum(counts.lost_with_process.values()),
    }
    shown = ", ".join(f"{name} {count:,}" for name, count in terms.items())
    figure = f"{left} of {counts.captured:,} ({shown})"
    return Row(f"unexplained: {counts.path}, {counts.stream}", figure, "0", left == 0)


def show(outcome: Outcome) -> bool:
    """Print the table and late recoveries; return whether all limits are met."""
    table = Table(box=None, pad_edge=False)
    for column in ("figure", "measured", "needed", ""):
        table.add_column(column)
    found = list(rows(outcome))
    for row in found:
        table.add_row(row.what, row.figure, row.needed, "good" if row.is_good else "BAD")
    console = Console() if Console().is_terminal else Console(width=PLAIN_WIDTH)
    console.print(table)
    for one in outcome.disturbances:
        if one.recovery > one.limit:
            console.print(f"{one.fault.kind.value} of {one.fault.stage}: {one.recovery:.1f} s")
    for name in outcome.unreadable:
        console.print(f"does not open: {name}")
    return all(row.is_good for row in found)
