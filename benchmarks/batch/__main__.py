"""Compares `emostream batch` with `emostream analyze`: rows, throughput per core, memory.

python -m benchmarks.batch rows
python -m benchmarks.batch speed --seconds 600
python -m benchmarks.batch memory --chunks 10000
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.batch.films import films, small_film
from benchmarks.batch.processes import ACTORS, Sample, Use, emostream, measure
from benchmarks.batch.rows import differences, read_rows
from benchmarks.make_clips import make_clip
from emostream.services.cli.batch.results import table_name
from emostream.services.cli.options import positive
from emostream.shared.errors import EmostreamError
from emostream.shared.progress import ProgressBar

DATA = Path("../shared/data")


def compare_rows(options: argparse.Namespace, folder: Path) -> None:
    """Print how many rows differ for each film, and why."""
    shown = list(films(options.data, folder, options.seconds))
    measure(emostream("analyze", *shown, "--no-video", "--json", "--out", folder / "analyze"))
    words = ("--chunk", options.chunk, "--overlap", options.overlap, "--out", folder / "batch")
    measure(emostream("batch", *shown, "--json", *words))
    rows, reasons = 0, Counter[str]()
    for film in shown:
        theirs = read_rows(folder / "analyze" / film.stem / "observations.parquet")
        ours = read_rows(folder / "batch" / table_name("observations", film.stem))
        found = differences(ours, theirs)
        print(f"{film.stem}: {_share(found, len(theirs))}", flush=True)
        rows, reasons = rows + len(theirs), reasons + found
    print(f"all: {_share(reasons, rows)}")


def _share(reasons: Counter[str], rows: int) -> str:
    total = sum(reasons.values())
    why = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
    return f"{total} of {rows} rows differ ({total / max(rows, 1):.2%}){': ' if why else ''}{why}"


def compare_speed(options: argparse.Namespace, folder: Path) -> None:
    """Print frames per second of CPU time and of wall time, between two lengths of a clip."""
    lengths = (options.seconds / 10, options.seconds)
    clips = [make_clip(options.folder, seconds, options.data / "clips") for seconds in lengths]
    rates: dict[str, list[tuple[float, float]]] = {"analyze": [], "batch": []}
    with ProgressBar("runs", 4 * options.runs) as bar:
        for turn in range(options.runs):
            for name, taken in rates.items():
                uses = []
                for clip in clips:
                    out = folder / f"{name}-{turn}-{clip.frames}"
                    video = ("--no-video",) if name == "analyze" else ()
                    uses.append(measure(emostream(name, clip.path, "--json", "--out", out, *video)))
                    bar.advance()
                taken.append(_rates(uses[0], uses[1], clips[1].frames - clips[0].frames))
    for name, taken in rates.items():
        for turn, (per_cpu, per_second) in enumerate(taken, 1):
            print(
                f"{name}, run {turn}: {per_cpu:.1f} frames/s of processor time, {per_second:.1f}"
                " frames/s by the clock"
            )
    for place, what in enumerate(("processor time", "the clock")):
        ratios = sorted(
            ours[place] / theirs[place]
            for ours, theirs in zip(rates["batch"], rates["analyze"], strict=True)
        )
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"batch / analyze by {what}: {shown}")


def _rates(short: Use, long: Use, frames: int) -> tuple[float, float]:
    """Return the frames per second of CPU time and of wall time, without the start."""
    return frames / (long.cpu - short.cpu), frames / (long.seconds - short.seconds)


def watch_memory(options: argparse.Namespace, folder: Path) -> None:
    """Print the memory of each kind of process while many one-second chunks are analyzed."""
    fps = options.fps
    film = small_film(folder / "film.mp4", round(options.chunks * fps), fps)
    words = ("--chunk", "1s", "--overlap", options.overlap, "--out", folder / "out")
    use = measure(emostream("batch", film, "--json", *words))
    (end,) = [event for event in use.events if event["event"] == "end"]
    print(f"{end['frames']} frames in {end['chunks']} chunks in {use.seconds:.0f} s")
    for sample in at_quarters(use.samples):
        held = ", ".join(f"{kind} {mb:.1f}" for kind, mb in sorted(sample.memory.items()))
        print(f"after {sample.seconds:.0f} s, {sample.done} frames; MB resident: {held}")


def at_quarters(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples at the beginning, at each quarter of the frames, and at the end.

    Only samples with actors count: when the last chunk is done, Ray ends them.
    """
    working = [sample for sample in samples if sample.done and ACTORS in sample.memory]
    if not working:
        return []
    first, last = working[0].done, working[-1].done
    return [
        next(sample for sample in working if 4 * (sample.done - first) >= part * (last - first))
        for part in range(5)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.batch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=DATA, help="clips and faces (%(default)s)")
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    rows = kinds.add_parser("rows", help="rows that differ from those of analyze, by reason")
    rows.add_argument("--seconds", type=positive(float), default=20.0, help="of each film")
    rows.add_argument("--chunk", default="4s")
    rows.add_argument("--overlap", default="3s")
    rows.set_defaults(measure=compare_rows)
    speed = kinds.add_parser("speed", help="throughput per core")
    speed.add_argument("--seconds", type=positive(float), default=600.0, help="of the longer clip")
    speed.add_argument("--runs", type=positive(int), default=1)
    speed.add_argument(
        "--folder", type=Path, default=Path("runs/bench"), help="where to store clips"
    )
    speed.set_defaults(measure=compare_speed)
    memory = kinds.add_parser("memory", help="memory over many chunks of a second")
    memory.add_argument("--chunks", type=positive(int), default=10_000)
    memory.add_argument("--fps", type=positive(float), default=2.0)
    memory.add_argument("--overlap", default="1s")
    memory.set_defaults(measure=watch_memory)
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            options.measure(options, Path(folder))
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
