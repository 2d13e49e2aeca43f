"""The tables of `emostream bench analyze`."""

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from emostream.services.cli.bench.result_file import Figure, figure
from emostream.services.cli.processes.stages import STAGES

# The target for `analyze`, as a multiple of the original's frames/s.
NEEDED = {"plain": 24, "video": 10}
NAMES = {
    "original": "original loop",
    "plain": "analyze --no-video",
    "video": "analyze",
}


@dataclass(frozen=True)
class Cost:
    """The cost of a frame in a stage: CPU time and step time, in ms."""

    cpu_ms: float
    step_ms: float


@dataclass(frozen=True)
class Speed:
    """A program's speed, faces per frame, memory, and cost by stage.

    `after_ms` is the time per frame after the stages are done, for writing the result files.
    """

    frames_per_second: float
    faces: float
    peak_mb: float = 0.0
    after_ms: float = 0.0
    stages: dict[str, Cost] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """One turn: the programs measured in it."""

    original: Speed
    plain: Speed | None = None
    video: Speed | None = None

    @property
    def speeds(self) -> dict[str, Speed]:
        """The speeds by name of the program, without those not measured."""
        every = {"original": self.original, "plain": self.plain, "video": self.video}
        return {name: speed for name, speed in every.items() if speed is not None}


def ratios(turns: Sequence[Turn]) -> dict[str, list[float]]:
    """Return the speed of `analyze` in multiples of the original's, by turn."""
    return {name: _values(turns, name, _times_original) for name in _analyses(turns)}


def figures(turns: Sequence[Turn]) -> dict[str, Figure]:
    """Return the figures over the turns, by name."""
    found: dict[str, Figure] = {}
    for name in turns[0].speeds:
        speeds, program = [turn.speeds[name] for turn in turns], NAMES[name]
        rates = [speed.frames_per_second for speed in speeds]
        found[f"{program}: speed"] = figure(rates, "frames/s", "higher")
        found[f"{program}: memory"] = figure([speed.peak_mb for speed in speeds], "MB")
        for stage in speeds[0].stages:
            costs = [speed.stages[stage].cpu_ms for speed in speeds]
            found[f"{program}: {stage}, processor"] = figure(costs, "ms per frame")
            steps = [speed.stages[stage].step_ms for speed in speeds]
            found[f"{program}: {stage}, step"] = figure(steps, "ms per frame")
    for name, times in ratios(turns).items():
        found[f"{NAMES[name]}: by the original"] = figure(times, "times", "higher")
    return found


def show(turns: Sequence[Turn], shows: str) -> None:
    """Print the speeds, and the cost of a frame for each variant of `analyze`."""
    console = Console()
    console.print(_speeds(turns, shows))
    for name in _analyses(turns):
        table, limits = _costs([turn.speeds[name] for turn in turns], NAMES[name])
        console.print(table)
        console.print(limits, highlight=False)


def _analyses(turns: Sequence[Turn]) -> list[str]:
    return [name for name in NEEDED if name in turns[0].speeds]


def _values(
    turns: Sequence[Turn], name: str, figure: Callable[[Speed, Speed], float]
) -> list[float]:
    """Return a figure for each turn, from the program's speed and the original's."""
    return [figure(turn.speeds[name], turn.original) for turn in turns]


def _times_original(speed: Speed, original: Speed) -> float:
    return speed.frames_per_second / original.frames_per_second


def _speeds(turns: Sequence[Turn], shows: str) -> Table:
    table = Table(
        title=f"emostream bench analyze: 1280 x 720 with {shows}; {os.cpu_count()} cores, "
        f"median of {len(turns)} turns (lowest to highest)"
    )
    table.add_column("program")
    for name in ("frames/s", "faces", "MB", "times original", "needed"):
        table.add_column(name, justify="right")
    for name in turns[0].speeds:
        cells = [_median_and_range(_values(turns, name, lambda speed, _: speed.frames_per_second))]
        cells.append(f"{statistics.median(_values(turns, name, lambda one, _: one.faces)):.2f}")
        cells.append(f"{statistics.median(_values(turns, name, lambda one, _: one.peak_mb)):.0f}")
        if name in NEEDED:
            cells += [_median_and_range(_values(turns, name, _times_original)), str(NEEDED[name])]
        table.add_row(NAMES[name], *cells)
    return table


def _median_and_range(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def _costs(speeds: Sequence[Speed], title: str) -> tuple[Table, str]:
    """Return the cost of a frame by stage, and the resulting limits."""
    table = Table(title=f"{title}: cost of a frame")
    table.add_column("stage")
    for name in ("processor, ms", "step, ms", "alone, frames/s"):
        table.add_column(name, justify="right")
    # In pipeline order.
    stages = sorted(speeds[0].stages, key=[*STAGES].index)
    costs = {stage: _median([one.stages[stage] for one in speeds]) for stage in stages}
    for stage, cost in costs.items():
        step, alone = f"{cost.step_ms:.1f}", f"{1e3 / max(cost.step_ms, 1e-3):.0f}"
        # A stage that exits before it is scraped has no step times.
        shown = (step, alone) if cost.step_ms > 0 else ("-", "-")
        table.add_row(stage, f"{cost.cpu_ms:.1f}", *shown)
    after = statistics.median(one.after_ms for one in speeds)
    table.add_row("files at the end", "-", f"{after:.1f}", "-")
    return table, _limits(costs, statistics.median(one.frames_per_second for one in speeds))


def _median(costs: Sequence[Cost]) -> Cost:
    cpu = statistics.median(cost.cpu_ms for cost in costs)
    return Cost(cpu, statistics.median(cost.step_ms for cost in costs))


def _limits(costs: Mapping[str, Cost], reached: float) -> str:
    """Return how close it is to the slowest stage alone, and to full use of all cores."""
    slowest = max(costs, key=lambda stage: costs[stage].step_ms)
    cores, used = os.cpu_count() or 1, sum(cost.cpu_ms for cost in costs.values())
    alone, most = (1e3 / max(ms, 1e-3) for ms in (costs[slowest].step_ms, used / cores))
    return (
        f"slowest stage alone: {slowest}, {alone:.0f} frames/s; reached: {reached:.1f}, "
        f"{reached / alone:.0%} of it\n"
        f"all stages use {used:.1f} ms of CPU time per frame: {cores} cores allow {most:.0f} "
        f"frames/s, {reached / most:.0%} of which is reached"
    )
