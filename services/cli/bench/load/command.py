"""Measures how many streams the pipeline can handle on this machine, and its overload behavior.

Streams of drawn frames replace capture, with more streams in each step. Each step starts new
processes. The last step sends four times the highest number of frames that were answered.
"""

import argparse
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from emostream.services.cli.bench.load.figures import facts, figures, table
from emostream.services.cli.bench.load.measurement import Point, Setup, measure
from emostream.services.cli.bench.load.work import SIZES, Work, size
from emostream.services.cli.bench.result_file import ResultFile
from emostream.services.cli.bench.result_options import (
    add_result_options,
    check_result_options,
    deliver,
)
from emostream.services.cli.options import add_config_options, not_negative, positive
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import load
from emostream.shared.progress import ProgressBar
from emostream.shared.security import check_own_processes
from emostream.shared.shipped_files import CONFIGS
from emostream.shared.temporary_folder import temporary_folder

WHAT: Final = "emostream bench load"
STREAMS: Final = (1, 2, 3, 4, 6, 8, 12, 16)
OVERLOAD: Final = 4
# The load replaces capture.
FED: Final = tuple(stage for stage in STAGES if stage != "capture")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    parser = argparse.ArgumentParser(prog=WHAT, description=__doc__)
    add_config_options(parser, CONFIGS / "default.toml", shown="default")
    count = positive(int)
    text = f"numbers of streams, one step for each (default: {' '.join(map(str, STREAMS))})"
    parser.add_argument("--streams", type=count, nargs="+", default=STREAMS, help=text)
    text = f"of a frame: WIDTHxHEIGHT or {', '.join(SIZES)} (default: 720p)"
    parser.add_argument("--size", type=size, default=SIZES["720p"], help=text)
    parser.add_argument("--fps", type=positive(float), default=25.0, help="default: 25")
    parser.add_argument("--faces", type=count, default=1, help="of each stream (default: 1)")
    text = "seconds to measure in each step (default: 10)"
    parser.add_argument("--seconds", type=positive(float), default=10.0, help=text)
    text = "seconds before measuring (default: 3)"
    parser.add_argument("--warm-up", type=not_negative, default=3.0, help=text)
    parser.add_argument("--runs", type=count, default=1, help="of each step (default: 1)")
    text = "stages to run (default: all but capture)"
    parser.add_argument("--stages", nargs="+", choices=FED, default=FED, help=text)
    text = "send the frames of all streams at once; by default they are spread out"
    parser.add_argument("--in-step", action="store_true", help=text)
    text = f"skip the step with {OVERLOAD} times the highest number of answered frames"
    parser.add_argument("--no-overload", action="store_true", help=text)
    add_result_options(parser)
    return parser


@dataclass(frozen=True)
class Measured:
    """The runs of each step, and those of the overload step, if there was one."""

    steps: list[list[Point]]
    overload: list[Point]


def run(options: argparse.Namespace) -> int:
    """Measure and print step by step; write and compare the figures as requested."""
    config = load(options.config, options.set)
    check_own_processes(config.security, "bench load")
    check_result_options(options, WHAT)
    with temporary_folder() as folder:
        setup = Setup(
            config, options.stages, folder, options.warm_up, options.seconds, options.in_step
        )
        measured = measure_all(options, functools.partial(measure, setup))
    found = figures(measured.steps, measured.overload)
    console = Console()
    console.print(table(measured.steps, measured.overload))
    for name, one in found.items():
        if " streams: " not in name:
            console.print(f"{name}: {one.median:g} {one.unit}", highlight=False)
    details = {
        "points": [[facts(point) for point in step] for step in measured.steps],
        "overload": [facts(point) for point in measured.overload],
    }
    return deliver(options, ResultFile.of(WHAT, found, details), _plot)


def measure_all(options: argparse.Namespace, measure: Callable[[Work], Point]) -> Measured:
    """Measure each step as often as requested, and then the overload step."""
    width, height = options.size
    works = [
        Work(streams, options.faces, width, height, options.fps)
        for streams in sorted(set(options.streams))
    ]
    steps = len(works) + (not options.no_overload)
    with ProgressBar("measuring", options.runs * steps, "runs") as bar:

        def runs(work: Work) -> list[Point]:
            found = []
            for _ in range(options.runs):
                found.append(measure(work))
                bar.advance()
            return found

        measured = [runs(work) for work in works]
        if options.no_overload:
            return Measured(measured, [])
        peak = max(point.answered for step in measured for point in step)
        return Measured(measured, runs(beyond(works[-1], peak)))


def beyond(work: Work, peak: float) -> Work:
    """Return a load with four times the highest number of answered frames, from more streams."""
    return replace(work, streams=max(1, round(OVERLOAD * peak / work.fps)))


def _plot(results: ResultFile, path: Path) -> None:
    # matplotlib is needed only for this.
    from emostream.services.cli.bench.load.plot import plot_load

    plot_load(results, path)
