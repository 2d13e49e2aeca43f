"""Compares results with an earlier result file, to find regressions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from emostream.services.cli.bench.result_file import Figure, ResultFile
from emostream.shared.errors import ConfigError, ExitCode
from emostream.shared.plural import counted

# A median counts as worse if it is worse by this share, and also outside the earlier range.
TOLERANCE: Final = 0.1
# If the earlier figure was 0, such as dropped frames: worse by this much in its own unit.
FLOOR: Final = 0.5


@dataclass(frozen=True)
class Change:
    """A figure in both result files; `share` is its change, positive for an increase."""

    name: str
    before: Figure
    now: Figure

    @property
    def share(self) -> float:
        """The change of the median as a share of the earlier one; inf if that was 0."""
        if not self.before.median:
            return float("inf") if self.now.median else 0.0
        return self.now.median / self.before.median - 1

    @property
    def is_worse(self) -> bool:
        """Whether it is worse by more than the tolerance, and worse than any earlier run."""
        before, now = self.before, self.now
        margin = TOLERANCE * abs(before.median) or FLOOR
        match before.better:
            case "lower":
                return now.median > before.median + margin and now.median > before.range[1]
            case "higher":
                return now.median < before.median - margin and now.median < before.range[0]
            case _:
                return False

    @property
    def is_better(self) -> bool:
        """Whether it is better by the same criterion."""
        return Change(self.name, self.now, self.before).is_worse


def read_earlier(path: Path, what: str) -> ResultFile:
    """Return the earlier results; ConfigError if the file is from another benchmark."""
    earlier = ResultFile.read(path)
    if earlier.what != what:
        raise ConfigError(f"{path} holds results of `{earlier.what}`: give a file of `{what}`")
    return earlier


def changes(before: ResultFile, now: ResultFile) -> list[Change]:
    """Return the figures in both results, in the order of the newer one.

    Raises ConfigError if there are none, or if a figure has another unit.
    """
    both = [name for name in now.figures if name in before.figures]
    if not both:
        raise ConfigError("the two results have no figure in common: compare like with like")
    for name in both:
        units = before.figures[name].unit, now.figures[name].unit
        if units[0] != units[1]:
            raise ConfigError(f"{name} was in {units[0]} and is now in {units[1]}")
    return [Change(name, before.figures[name], now.figures[name]) for name in both]


def report(before: ResultFile, now: ResultFile) -> int:
    """Print regressions, and return the exit code: FAILURE if there are any."""
    console = Console()
    found = changes(before, now)
    if before.machine != now.machine:
        console.print(
            f"Measured on another machine: then {_machine(before)}; now {_machine(now)}.",
            highlight=False,
        )
    missing = [name for name in before.figures if name not in now.figures]
    if missing:
        console.print(f"Not measured this time: {', '.join(missing)}.", highlight=False)
    worse = [change for change in found if change.is_worse]
    better = [change for change in found if change.is_better]
    for title, some in (("slower", worse), ("faster", better)):
        if some:
            console.print(_table(f"{title} than on {before.date[:10]}", some))
    same = len(found) - len(worse) - len(better)
    verdict = f"{len(worse)} slower, {len(better)} faster, {same} the same"
    console.print(f"{counted(len(found), 'figure')}: {verdict}.", highlight=False)
    return ExitCode.FAILURE if worse else ExitCode.OK


def _table(title: str, found: Sequence[Change]) -> Table:
    table = Table(title=title)
    table.add_column("figure")
    for column in ("before", "now", "change"):
        table.add_column(column, justify="right")
    for change in found:
        table.add_row(
            change.name, _cell(change.before), _cell(change.now), f"{100 * change.share:+.0f}%"
        )
    return table


def _cell(figure: Figure) -> str:
    low, high = figure.range
    return f"{figure.median:g} {figure.unit} ({low:g} to {high:g})"


def _machine(results: ResultFile) -> str:
    return f"{results.machine.cpu}, {counted(results.machine.cores, 'core')}"
