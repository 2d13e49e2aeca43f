"""Compares the package `fer` and `emostream analyze` on one clip: frames/s, faces, memory.

    python3.11 -m venv /tmp/fer-venv && /tmp/fer-venv/bin/pip install fer==25.10.3
    python -m benchmarks.fer_comparison --fer-python /tmp/fer-venv/bin/python

fer needs TensorFlow and, for MTCNN, an old PyTorch, so it has a separate environment; its weights
are part of the packages. Both programs run alternately in separate processes, and their speed is
the slope between two lengths.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.analyze.command import Commands, analysis, make_clips
from benchmarks.analyze.runs import Clip, finish
from benchmarks.analyze.view import Speed
from benchmarks.make_clips import FPS
from emostream.shared.errors import EmostreamError

FER = Path(__file__).with_name("fer_video.py")
VERSION = "import importlib.metadata; print(importlib.metadata.version('fer'))"


def measure_fer(
    python: Path, clip: Clip, frames: Sequence[int], flags: Sequence[str] = ()
) -> Speed:
    """Return the speed of fer on the first frames of the clip."""
    words = [str(python.absolute()), str(FER), clip.path, "--frames", *map(str, frames), *flags]
    with tempfile.TemporaryDirectory() as folder:
        done = finish(words, Path(folder))
    speed = msgspec.json.decode(done.printed.splitlines()[-1], type=Speed)
    return replace(speed, peak_mb=done.peak_mb)


def choose_programs(
    options: argparse.Namespace, clips: tuple[Clip, Clip]
) -> dict[str, Callable[[], Speed]]:
    """Return the measurements by name."""
    peer = partial(measure_fer, options.fer_python, clips[1], options.frames)
    ours = partial(analysis, Commands().analyze, clips, options.folder.resolve())
    chosen: dict[str, Callable[[], Speed]] = {
        "fer, Haar cascade": peer,
        "fer, MTCNN": partial(peer, ["--mtcnn"]),
        "emostream analyze --no-video": partial(ours, video=False),
    }
    if options.video:
        chosen["fer, Haar cascade, annotated video"] = partial(peer, ["--save-video"])
        chosen["emostream analyze, annotated video"] = partial(ours, video=True)
    return chosen


def format_row(name: str, speeds: Sequence[Speed]) -> str:
    """Return a program's row of the Markdown table."""
    rates = [speed.frames_per_second for speed in speeds]
    faces = statistics.median(speed.faces for speed in speeds)
    peak = max(speed.peak_mb for speed in speeds)
    spread = f"{min(rates):.1f} to {max(rates):.1f}"
    return f"| {name} | {statistics.median(rates):.1f} | {spread} | {faces:.2f} | {peak:.0f} |"


def main() -> int:
    """Measure alternately and print a Markdown table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fer_comparison", description=__doc__
    )
    parser.add_argument("--fer-python", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--frames", type=int, nargs=2, default=(25, 150), help="for fer")
    parser.add_argument("--seconds", type=float, nargs=2, default=(10.0, 40.0), help="for analyze")
    parser.add_argument("--video", action="store_true", help="also with annotated video")
    parser.add_argument("--folder", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    try:
        version = finish([str(options.fer_python.absolute()), "-c", VERSION]).printed.strip()
        clips = make_clips(Commands().clips, options.folder.resolve(), tuple(options.seconds))
        chosen = choose_programs(options, clips)
        speeds: dict[str, list[Speed]] = {name: [] for name in chosen}
        for _ in range(options.runs):
            for name, measure in chosen.items():
                speeds[name].append(measure())
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"fer {version}; 1280 x 720 at {FPS} frames/s with {clips[1].shows}; ", end="")
    print(f"median of {options.runs} turns\n")
    print("| program | fps | range | faces per frame | peak memory, MB |\n|" + " --- |" * 5)
    for name, measured in speeds.items():
        print(format_row(name, measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
