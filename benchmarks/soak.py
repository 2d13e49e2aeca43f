"""`python -m benchmarks.soak`: many frames through all stages, with constant resource use.

Runs once lossless, once live. Exits with 1 if memory, open files or threads of a stage grow, or if
the frame counts do not add up: captured = answered + dropped + lost + lost with a process.
"""

import argparse
import contextlib
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.results import finish, parse
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.cli.bench.result_file import Figure, figure
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.config import Config, Source, load
from emostream.shared.frame_counts import FrameCounts, frame_counts
from emostream.shared.metric_samples import Scrape
from emostream.shared.progress import ProgressBar
from emostream.shared.scraping import scrape
from emostream.shared.shipped_files import CONFIGS

Delivery = Literal["lossless", "live"]

WHAT: Final = "python -m benchmarks.soak"
SIZE: Final = (128, 96)
# Number of drawn demo pictures, which the film repeats.
SCENES: Final = 200
SAMPLE_EVERY_S: Final = 2.0
# Growth from the second quarter to the last: more than noise, less than a leak of one frame in a
# hundred.
GROWTH_MB: Final = 8.0
GROWTH_SHARE: Final = 0.05
GROWTH_HANDLES: Final = 2
# Without progress for this long, it hangs.
STUCK_S: Final = 60.0


@dataclass(frozen=True)
class Sample:
    """The resources of a stage's process: resident memory in MB, open files, threads."""

    memory: float
    files: int
    threads: int


@dataclass(frozen=True)
class Soak:
    """The result of one delivery; `rows` is the number in the database."""

    delivery: Delivery
    seconds: float
    samples: dict[str, list[Sample]]
    counts: Sequence[FrameCounts]
    rows: int


def write_film(path: Path, frames: int) -> Path:
    """Write a small film with faces, and return its path."""
    demo = DemoScene(*SIZE)
    pictures = [demo.frame(5 * n) for n in range(SCENES)]
    with ProgressBar("film", frames, "frames") as bar, VideoFile(path, *SIZE) as writer:
        for n in range(frames):
            writer.write(pictures[n % SCENES], n * 40_000_000)
            bar.update(n + 1)
    return path


def configuration(film: Path, delivery: Delivery) -> Config:
    """Return the configuration that plays the film as fast as it is answered."""
    config, replace = load(CONFIGS / "default.toml"), msgspec.structs.replace
    source = Source(name="film", url=str(film), pace="fast")
    return replace(
        config,
        delivery=delivery,
        lossless=replace(config.lossless, credit_from=("recorder",)),
        capture=replace(config.capture, sources=(source,)),
        detector=replace(config.detector, backend="blazeface", tiles=0),
        recorder=replace(config.recorder, video=False),
    )


def soak(film: Path, frames: int, delivery: Delivery) -> Soak:
    """Send the film through all stages, and return the result."""
    with tempfile.TemporaryDirectory() as folder:
        with Pipeline(configuration(film, delivery), Path(folder)) as pipeline:
            began = time.monotonic()
            samples: dict[str, list[Sample]] = {stage: [] for stage in STAGES}
            with ProgressBar(delivery, frames, "frames") as bar:
                for counts in _progress(pipeline, frames):
                    bar.update(max((one.captured - one.in_flight for one in counts), default=0))
                    _sample(pipeline, samples)
            seconds = time.monotonic() - began
        with contextlib.closing(sqlite3.connect(Path(folder, "recordings", "emostream.db"))) as db:
            (rows,) = db.execute("SELECT count(*) FROM frames").fetchone()
    return Soak(delivery, seconds, samples, counts, rows)


def _progress(pipeline: Pipeline, frames: int) -> Iterator[list[FrameCounts]]:
    """Yield the frame counts at intervals, until all frames are accounted for or it hangs."""
    done, changed = -1, time.monotonic()
    while time.monotonic() - changed < STUCK_S:
        time.sleep(SAMPLE_EVERY_S)
        urls = (f"{pipeline.metrics_url(stage)}/metrics" for stage in STAGES)
        counts = frame_counts([one for one in map(scrape, urls) if isinstance(one, Scrape)])
        yield counts
        known = [one for one in counts if one.path in ("emotions", "rows")]
        now = sum(one.captured - one.in_flight for one in known)
        if now != done:
            done, changed = now, time.monotonic()
        elif known and all((one.captured, one.in_flight) == (frames, 0) for one in known):
            return


def _sample(pipeline: Pipeline, samples: dict[str, list[Sample]]) -> None:
    for stage, process in pipeline.stage_processes().items():
        with contextlib.suppress(psutil.Error):
            memory = process.memory_info().rss / 1e6
            samples[stage].append(Sample(memory, process.num_fds(), process.num_threads()))


def growth(values: Sequence[float]) -> float:
    """Return the growth of the values from the second quarter to the last, by medians."""
    quarter = max(1, len(values) // 4)
    return statistics.median(values[-quarter:]) - statistics.median(values[quarter : 2 * quarter])


def faults(run: Soak, frames: int) -> list[str]:
    """Return the problems, empty if there are none."""
    found = []
    for stage, samples in run.samples.items():
        memory = [sample.memory for sample in samples]
        if len(samples) < 4:
            found.append(f"{stage}: too few samples; take more --frames")
        elif growth(memory) > max(GROWTH_MB, GROWTH_SHARE * memory[len(memory) // 2]):
            found.append(f"{stage}: memory grows by {growth(memory):.1f} MB")
        for kind in ("files", "threads"):
            values = [float(getattr(sample, kind)) for sample in samples]
            if len(values) >= 4 and growth(values) > GROWTH_HANDLES:
                found.append(f"{stage}: {kind} grow by {growth(values):.0f}")
    sums = {one.path: one for one in run.counts}
    for path in ("rows",) if run.delivery == "lossless" else ("emotions", "rows"):
        one = sums.get(path)
        if one is None:
            found.append(f"{path}: no sum")
        elif (one.captured, one.in_flight, one.unexplained) != (frames, 0, 0):
            found.append(f"{path}: the sum is not exact: {one}")
    if "rows" in sums and sums["rows"].answered != run.rows:
        found.append(f"{sums['rows'].answered} rows are counted, {run.rows} in the database")
    if run.delivery == "lossless" and run.rows != frames:
        found.append(f"{run.rows} rows of {frames} frames")
    return found


def figures(run: Soak) -> dict[str, Figure]:
    """Return the figures of a run by name: its rows, and each stage's growth."""
    found = {f"{run.delivery}: rows": figure([run.rows], "rows", "higher")}
    for stage, samples in run.samples.items():
        if len(samples) >= 4:
            for unit, values in (
                ("MB of growth", [sample.memory for sample in samples]),
                ("files more", [float(sample.files) for sample in samples]),
                ("threads more", [float(sample.threads) for sample in samples]),
            ):
                found[f"{run.delivery}: {stage}, {unit}"] = figure([growth(values)], unit)
    return found


def table(run: Soak) -> Table:
    """Return the figures of a run, at a quarter of the time and at its end."""
    sums = {one.path: one for one in run.counts}
    answered = sums["rows"].answered if "rows" in sums else 0
    title = f"{run.delivery}: {answered:,} rows in {run.seconds:.0f} s"
    figures = Table(title=title, title_justify="left")
    for column in ("stage", "MB", "open files", "threads"):
        figures.add_column(column, justify="left" if column == "stage" else "right")
    for stage, samples in run.samples.items():
        if samples:
            first, last = samples[len(samples) // 4], samples[-1]
            figures.add_row(
                stage,
                f"{first.memory:.1f} to {last.memory:.1f}",
                f"{first.files} to {last.files}",
                f"{first.threads} to {last.threads}",
            )
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both deliveries, print their figures, and return 1 if there is a problem."""
    parser = argparse.ArgumentParser(prog=WHAT, description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--delivery", choices=["lossless", "live"], help="only this (both)")
    chosen = parse(parser, WHAT, arguments)
    console, found = Console(), []
    named: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as folder:
        film = write_film(Path(folder) / "film.mp4", chosen.frames)
        deliveries: list[Delivery] = ["lossless", "live"]
        for delivery in [chosen.delivery] if chosen.delivery else deliveries:
            run = soak(film, chosen.frames, delivery)
            console.print(table(run))
            for one in run.counts:
                if one.path in ("emotions", "rows"):
                    console.print(f"  {one}")
            named |= figures(run)
            found += [f"{delivery}: {fault}" for fault in faults(run, chosen.frames)]
    for fault in found:
        console.print(fault, style="red")
    return finish(chosen, WHAT, named, good=not found)


if __name__ == "__main__":
    sys.exit(main())
