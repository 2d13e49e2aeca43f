"""`emostream bench analyze`: the speed of `analyze` compared with the original program's loop.

Each program runs in a separate process, alternately, on two lengths of one clip. The cost of a
frame is the slope between them, so that start-up does not count.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec

from benchmarks.analyze.runs import Clip, analyze, finish, steady
from benchmarks.analyze.view import Cost, Speed, Turn, figures, ratios, show
from emostream.services.cli.analysis.run_file import StageUse
from emostream.services.cli.bench.result_file import ResultFile
from emostream.services.cli.bench.result_options import (
    add_result_options,
    check_result_options,
    deliver,
)
from emostream.services.cli.options import positive
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.errors import ConfigError, EmostreamError
from emostream.shared.progress import ProgressBar

WHAT = "emostream bench analyze"
# The original processes this many frames of the long clip: the length of the clip of real faces.
ORIGINAL_FRAMES = (25, 150)


@dataclass(frozen=True)
class Commands:
    """The programs, without their arguments."""

    clips: Sequence[str] = (sys.executable, "-m", "benchmarks.make_clips")
    original: Sequence[str] = (sys.executable, "-m", "benchmarks.original_loop")
    analyze: Sequence[str] = (sys.executable, "-m", "emostream", "analyze")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    parser = argparse.ArgumentParser(prog=WHAT, description=__doc__)
    parser.add_argument("--runs", dest="turns", type=positive(int), default=3, metavar="N")
    parser.add_argument(
        "--seconds",
        dest="lengths",
        type=positive(float),
        nargs=2,
        default=(10.0, 40.0),
        metavar=("A", "B"),
        help="lengths of the clip for timing analyze (default: 10 40)",
    )
    parser.add_argument("--video", action="store_true", help="also measure with annotated video")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("runs/bench"),
        help="where the clips are kept (default: %(default)s)",
    )
    parser.add_argument("--json", dest="as_json", action="store_true", help="print all turns")
    add_result_options(parser)
    return parser


def run(options: argparse.Namespace, commands: Commands | None = None) -> int:
    """Measure the programs alternately and print the figures."""
    commands = commands or Commands()
    short, long = sorted(options.lengths)
    if short == long:
        raise ConfigError("--seconds: give two different lengths")
    check_result_options(options, WHAT)
    folder = options.folder.resolve()
    with ProgressBar("making the clips", 2) as bar:
        clips = make_clips(commands.clips, folder, (short, long))
        bar.update(2)
    with ProgressBar("measuring", options.turns * (3 if options.video else 2), "programs") as bar:
        turns = [
            measure(commands, clips, folder, options.video, bar.advance)
            for _ in range(options.turns)
        ]
    if options.as_json:
        result = {"clip": msgspec.to_builtins(clips[1]), "cores": os.cpu_count()}
        result |= {"ratios": ratios(turns), "turns": [asdict(turn) for turn in turns]}
        print(json.dumps(result, indent=2))
    else:
        show(turns, clips[1].shows)
    return deliver(options, ResultFile.of(WHAT, figures(turns), command=WHAT))


def make_clips(
    command: Sequence[str], folder: Path, seconds: tuple[float, float]
) -> tuple[Clip, Clip]:
    """Return the clip in both lengths, created if the folder lacks it."""
    words = [*command, str(folder), "--seconds", *map(str, seconds)]
    lines = finish(words).printed.splitlines()
    short, long = (msgspec.json.decode(line, type=Clip) for line in lines)
    return short, long


def measure(
    commands: Commands,
    clips: tuple[Clip, Clip],
    folder: Path,
    video: bool,
    advance: Callable[[], object],
) -> Turn:
    """Measure each program once, and call `advance` after each."""
    figures = Turn(original(commands.original, clips[1]))
    advance()
    figures = replace(figures, plain=analysis(commands.analyze, clips, folder, video=False))
    advance()
    if video:
        figures = replace(figures, video=analysis(commands.analyze, clips, folder, video=True))
        advance()
    return figures


def original(command: Sequence[str], clip: Clip) -> Speed:
    """Return the speed of the original's loop over the first frames of the clip."""
    long = min(ORIGINAL_FRAMES[1], clip.frames)
    short = long * ORIGINAL_FRAMES[0] // ORIGINAL_FRAMES[1]
    done = finish([*command, clip.path, "--frames", str(short), str(long), "--json"])
    speed = msgspec.json.decode(done.printed, type=Speed)
    return replace(speed, peak_mb=done.peak_mb)


def analysis(
    command: Sequence[str], clips: tuple[Clip, Clip], folder: Path, *, video: bool
) -> Speed:
    """Return the speed of `analyze` between the two clips, and each stage's cost per frame."""
    short, long = (analyze(command, clip, folder, video=video) for clip in clips)
    if not short.stages.keys() == long.stages.keys() <= STAGES.keys():
        raise EmostreamError(f"run.json: {[*short.stages]} and {[*long.stages]} are its stages")
    frames = long.timing.frames - short.timing.frames
    costs = {name: _cost(short.stages[name], use, frames) for name, use in long.stages.items()}
    return Speed(
        steady(short.timing, long.timing),
        long.faces,
        long.peak_mb,
        1e3 * (long.after - short.after) / frames,
        costs,
    )


def _cost(short: StageUse, long: StageUse, frames: int) -> Cost:
    return Cost(
        cpu_ms=1e3 * (long.cpu_seconds - short.cpu_seconds) / frames,
        step_ms=1e3 * (long.busy_seconds - short.busy_seconds) / frames,
    )
