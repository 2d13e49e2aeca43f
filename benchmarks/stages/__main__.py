"""The cost of each step of a frame: python -m benchmarks.stages.

The steps run alternately in this process, on the frames of a clip with three faces (1280 x 720).
Only CPU time counts, so other programs on the machine have little effect.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.table import Table

from benchmarks.make_clips import CLIPS, make_clip
from benchmarks.stages.limits import limits
from benchmarks.stages.steps import Clip, steps
from emostream.shared.errors import EmostreamError

WARM_UP = 3


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--frames", type=int, default=50, help="of a round (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT", help="the steps whose name has TEXT")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print all rounds")
    parser.add_argument("--sources", type=Path, default=CLIPS, help="clips of people (%(default)s)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the medians."""
    options = parser().parse_args(arguments)
    cv2.setNumThreads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = make_clip(Path(folder), options.frames / 25, options.sources)
            figures = measure(Clip(Path(made.path), options.frames), options)
    except (EmostreamError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, EmostreamError) else 1
    if options.as_json:
        print(json.dumps({"clip": made.shows, **figures}, indent=2))
    else:
        show(made.shows, figures)
    return 0


def measure(clip: Clip, options: argparse.Namespace) -> dict[str, Any]:
    """Return the CPU time in ms per frame of each limit and step, round by round."""
    bounds = [one for one in limits(clip.pictures[0]) if options.only in one.name]
    taken = [one for one in steps(clip) if options.only in f"{one.stage} {one.name}"]
    of_bounds: list[list[float]] = [[] for _ in bounds]
    of_steps: list[list[float]] = [[] for _ in taken]
    for number in range(-1, options.rounds):
        frames = options.frames if number >= 0 else min(WARM_UP, options.frames)
        for bound, times in zip(bounds, of_bounds, strict=True):
            times.append(_milliseconds(bound.run, min(10, frames)))
        for step, times in zip(taken, of_steps, strict=True):
            times.append(_milliseconds(step.run, frames))
    return {
        "limits": [
            {
                "name": one.name,
                "ms": times[1:],
                "rate": one.amount / statistics.median(times[1:]) * 1e3,
                "unit": f"{one.unit}/s",
            }
            for one, times in zip(bounds, of_bounds, strict=True)
        ],
        "steps": [
            {"stage": one.stage, "name": one.name, "ms": times[1:]}
            for one, times in zip(taken, of_steps, strict=True)
        ],
    }


def _milliseconds(run: Callable[[int], object], frames: int) -> float:
    """Return the CPU time of all threads of this process, per frame."""
    before = time.process_time()
    for number in range(frames):
        run(number)
    return 1e3 * (time.process_time() - before) / frames


def show(shows: str, figures: dict[str, Any]) -> None:
    """Print the medians as a table."""
    table = Table(title=f"CPU time in ms per frame, 1280 x 720, {shows}")
    for name in ("stage", "step"):
        table.add_column(name)
    for name in ("median", "range", "rate"):
        table.add_column(name, justify="right")
    rows = [("limit", one, f"{one['rate']:.1f} {one['unit']}") for one in figures["limits"]]
    rows += [(one["stage"], one, "") for one in figures["steps"]]
    for stage, one, rate in rows:
        times = one["ms"]
        spread = f"{min(times):.2f} to {max(times):.2f}"
        table.add_row(stage, one["name"], f"{statistics.median(times):.2f}", spread, rate)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
