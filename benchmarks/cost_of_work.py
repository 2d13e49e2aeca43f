"""The CPU time of the stages by faces, streams and pixels: python -m benchmarks.cost_of_work.

One of the three is varied while the others are constant, at a low frame rate, so that nothing is
dropped. A straight line is fitted to the CPU time, and the distance of the points from it shows
whether the cost is proportional.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console

from emostream.services.cli.bench.load.command import FED
from emostream.services.cli.bench.load.measurement import Point, Setup, measure
from emostream.services.cli.bench.load.work import Work
from emostream.services.cli.bench.result_file import Figure, ResultFile, figure
from emostream.services.cli.bench.result_options import (
    add_result_options,
    check_result_options,
    deliver,
)
from emostream.services.cli.options import positive
from emostream.shared.config import load
from emostream.shared.errors import EmostreamError
from emostream.shared.progress import ProgressBar
from emostream.shared.shipped_files import CONFIGS
from emostream.shared.temporary_folder import temporary_folder

WHAT: Final = "python -m benchmarks.cost_of_work"
FPS: Final = 5.0
FACES: Final = (1, 2, 4, 8, 16, 32, 64)
STREAMS: Final = (1, 2, 4, 8, 16)
SIZES: Final = ((640, 480), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))


@dataclass(frozen=True)
class Sweep:
    """The loads for one quantity, its value per load, and the unit of the cost."""

    works: Sequence[Work]
    unit: str
    units: str
    amount: Callable[[Point], float]
    cost_unit: str
    cost: Callable[[Point, str], float]


def _by_frame(point: Point, stage: str) -> float:
    return point.cpu_ms[stage]


def _by_second(point: Point, stage: str) -> float:
    return 10 * point.cpu_percent[stage]


SWEEPS: Final = {
    "faces": Sweep(
        [Work(1, count, 1920, 1080, FPS) for count in FACES],
        "face found",
        "faces found",
        lambda point: point.faces,
        "ms per frame",
        _by_frame,
    ),
    "streams": Sweep(
        [Work(count, 1, 320, 180, FPS) for count in STREAMS],
        "stream",
        "streams",
        lambda point: float(point.work.streams),
        "ms per second",
        _by_second,
    ),
    "pixels": Sweep(
        [Work(1, 1, width, height, FPS) for width, height in SIZES],
        "megapixel",
        "megapixels",
        lambda point: point.work.megapixels,
        "ms per frame",
        _by_frame,
    ),
}


def line(amounts: Sequence[float], costs: Sequence[float]) -> tuple[float, float, float]:
    """Return slope and intercept of the line through the points, and the largest distance to it.

    The distance is a share of the cost at the end of the line.
    """
    slope, start = (float(term) for term in np.polyfit(amounts, costs, 1))
    away = max(abs(cost - start - slope * x) for x, cost in zip(amounts, costs, strict=True))
    return slope, start, away / max(costs)


def figures(sweeps: Mapping[str, Sequence[Point]]) -> dict[str, Figure]:
    """Return each stage's cost per unit of each quantity, and the distance from the line."""
    found: dict[str, Figure] = {}
    for name, points in sweeps.items():
        sweep = SWEEPS[name]
        amounts = [sweep.amount(point) for point in points]
        by_stage = {stage: [sweep.cost(point, stage) for point in points] for stage in FED}
        by_stage["all stages"] = [sum(costs) for costs in zip(*by_stage.values(), strict=True)]
        for stage, costs in by_stage.items():
            slope, start, away = line(amounts, costs)
            unit = f"{sweep.cost_unit} and {sweep.unit}"
            found[f"{name}: {stage}, one more"] = figure([slope], unit)
            found[f"{name}: {stage}, with none"] = figure([start], sweep.cost_unit)
            if stage == "all stages":
                found[f"{name}: off the line"] = figure([100 * away], "% of the largest", "")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: measure, print, write and compare the figures."""
    parser = argparse.ArgumentParser(prog=WHAT, description=__doc__)
    parser.add_argument("sweeps", nargs="*", metavar="SWEEP", help=f"of {', '.join(SWEEPS)} (all)")
    text = "seconds to measure each point (%(default)g)"
    parser.add_argument("--seconds", type=positive(float), default=10.0, help=text)
    add_result_options(parser)
    options = parser.parse_args(arguments)
    if unknown := set(options.sweeps) - set(SWEEPS):
        parser.error(f"no sweep {min(unknown)}: {', '.join(SWEEPS)}")
    chosen = options.sweeps or list(SWEEPS)
    try:
        check_result_options(options, WHAT)
        with temporary_folder() as folder:
            setup = Setup(load(CONFIGS / "default.toml"), FED, folder, 3.0, options.seconds)
            measured = measure_all(chosen, functools.partial(measure, setup))
        found = figures(measured)
        for name, one in found.items():
            Console().print(f"{name}: {one.median:g} {one.unit}", highlight=False)
        details = {name: _points(SWEEPS[name], points) for name, points in measured.items()}
        return deliver(options, ResultFile.of(WHAT, found, details, WHAT), _plot)
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def measure_all(chosen: Sequence[str], measure: Callable[[Work], Point]) -> dict[str, list[Point]]:
    """Measure each point of the chosen sweeps."""
    found: dict[str, list[Point]] = {}
    with ProgressBar("measuring", sum(len(SWEEPS[name].works) for name in chosen), "points") as bar:
        for name in chosen:
            found[name] = []
            for work in SWEEPS[name].works:
                found[name].append(measure(work))
                bar.advance()
    return found


def _points(sweep: Sweep, points: Sequence[Point]) -> dict[str, Any]:
    return {
        "amounts": [round(sweep.amount(point), 2) for point in points],
        "costs": {stage: [round(sweep.cost(point, stage), 2) for point in points] for stage in FED},
        "dropped_percent": [round(point.dropped_percent, 2) for point in points],
    }


def _plot(results: ResultFile, path: Path) -> None:
    from matplotlib.figure import Figure as Canvas

    from emostream.services.cli.bench.plots import DPI, save, tidy, title

    canvas = Canvas((9.5, 3.6), DPI, layout="constrained")
    panels = canvas.subplots(1, len(results.details), squeeze=False)[0]
    for axes, (name, facts) in zip(panels, results.details.items(), strict=True):
        amounts = np.array(facts["amounts"])
        total = np.sum(list(facts["costs"].values()), axis=0)
        for stage, costs in facts["costs"].items():
            axes.plot(amounts, costs, "o-", markersize=3, linewidth=1, label=stage)
        axes.plot(amounts, total, "ko", markersize=4, label="all")
        slope, start, _ = line(amounts.tolist(), total.tolist())
        axes.plot(amounts, start + slope * amounts, "k--", linewidth=1, label="straight line")
        axes.set(xlabel=SWEEPS[name].units, ylabel=f"CPU time, {SWEEPS[name].cost_unit}")
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=8)
        tidy(axes)
    panels[0].legend(fontsize=7, frameon=False)
    canvas.suptitle(title(results), fontsize=10)
    save(canvas, path)


if __name__ == "__main__":
    sys.exit(main())
