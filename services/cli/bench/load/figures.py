"""The figures of a load: for each step, in total, and for the overload step."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.table import Table

from emostream.services.cli.bench.load.measurement import Point
from emostream.services.cli.bench.result_file import Figure, figure

# Streams count as handled while fewer of their frames are dropped, in percent.
DROPS: Final = 1.0
# The runs of one step.
Step = Sequence[Point]


def carried(steps: Sequence[Step], run: int) -> int:
    """Return the number of streams in the last step of a run before frames were dropped."""
    most = 0
    for step in steps:
        if step[run].dropped_percent >= DROPS:
            break
        most = step[run].work.streams
    return most


def figures(steps: Sequence[Step], overload: Step) -> dict[str, Figure]:
    """Return the figures by name; `overload` may be empty."""
    runs = range(len(steps[0]))
    peaks = [max(step[run].answered for step in steps) for run in runs]
    most = [carried(steps, run) for run in runs]
    found = {
        "streams before frames drop": figure(most, "streams", "higher"),
        "most answers": figure(peaks, "answers/s", "higher"),
    }
    if overload:
        shares = [100 * point.answered / peak for point, peak in zip(overload, peaks, strict=True)]
        found["overload: answers"] = figure(shares, "% of the most", "higher")
        found |= _of_step("overload", overload)
    source = [step[run].cpu_percent["source"] for run in runs for step in steps[-1:]]
    found["source of the load: processor"] = figure(source, "% of a core", "")
    for step in steps:
        found |= _of_step(f"{step[0].work.streams} streams", step)
    return found


def facts(point: Point) -> dict[str, Any]:
    """Return all data of a point, for a result file."""
    rounded: dict[str, Any] = _rounded({**asdict(point), "unfairness": point.unfairness})
    return rounded


def table(steps: Sequence[Step], overload: Step) -> Table:
    """Return a row for each step, with medians if it ran more than once."""
    work = steps[0][0].work
    table = Table(
        title=f"emostream bench load: {work.width} x {work.height} at {work.fps:g} frames/s,"
        f" {work.faces} faces per stream"
    )
    table.add_column("streams")
    columns = ("frames/s", "answers/s", "dropped", "age p50", "p99, ms", "max/min", "source, %")
    for column in columns:
        table.add_column(column, justify="right")
    for step in [*steps, *([overload] if overload else [])]:
        named = _of_step("", step)
        table.add_row(
            f"{step[0].work.streams}",
            f"{step[0].work.offered:.0f}",
            f"{named[': answered'].median:.1f}",
            f"{named[': dropped'].median:.1f}%",
            f"{named[': age, p50'].median:.0f}",
            f"{named[': age, p99'].median:.0f}",
            f"{named[': fairness'].median:.2f}",
            f"{step[0].cpu_percent['source']:.0f}",
        )
    return table


def _of_step(name: str, step: Step) -> dict[str, Figure]:
    return {
        f"{name}: answered": figure([one.answered for one in step], "answers/s", "higher"),
        f"{name}: dropped": figure([one.dropped_percent for one in step], "%", ""),
        f"{name}: age, p50": figure([one.age_p50_ms for one in step], "ms"),
        f"{name}: age, p99": figure([one.age_p99_ms for one in step], "ms"),
        f"{name}: fairness": figure([one.unfairness for one in step], "max/min"),
    }


def _rounded(tree: Any) -> Any:
    match tree:
        case float():
            return round(tree, 3)
        case dict():
            return {name: _rounded(value) for name, value in tree.items()}
        case list() | tuple():
            return [_rounded(value) for value in tree]
    return tree
