"""A real pipeline with many small streams: its answers, and the cost of each stage."""

import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import psutil

from benchmarks.simulate.figures import Figures
from benchmarks.simulate.observed import Pauses, pauses, phases
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.cli.bench.live import Listener
from emostream.services.cli.bench.process_costs import Costs
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.config import Config, Source
from emostream.shared.config import load as load_config
from emostream.shared.errors import EmostreamError
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape
from emostream.shared.scraping import scrape
from emostream.shared.shipped_files import CONFIGS

SIZE: Final = (320, 180)
# Scenes of the demo, which a film repeats.
SCENES: Final = 100
WARM_UP_S: Final = 5.0
# How much longer the films last than the measurement: no film ends before it.
START_WITHIN_S: Final = 30.0
SEED: Final = 1


@dataclass(frozen=True)
class Real:
    """A run: answers per second, their median age in ms, and lost frames in percent.

    `cpu_ms` is the CPU time of each stage per captured frame, `faces` the mean number per frame,
    and `other_cores` the CPU use of other programs. `phases` and `pauses` are those of `observed`.
    """

    answers_per_s: float
    p50_ms: float
    dropped_percent: float
    cpu_ms: dict[str, float]
    faces: float
    other_cores: float
    phases: tuple[float, ...]
    pauses: Pauses


@dataclass(frozen=True)
class Load:
    """The streams of a run, and their frames per second.

    Cameras are not synchronized, so the streams' phases are random, unless they are `together`.
    """

    streams: int
    fps: float
    together: bool = False


def films(folder: Path, load: Load, seconds: float) -> list[Path]:
    """Write a film of the demo for each stream, and return their paths.

    All films start at the same time. For random phases, the first picture of each is shown for a
    random share of the usual time.
    """
    fps, chance = load.fps, random.Random(SEED)
    demo = DemoScene(*SIZE, fps=fps)
    pictures = [demo.frame(number) for number in range(SCENES)]
    paths = [folder / f"cam{number}.mp4" for number in range(load.streams)]
    for path in paths:
        delay = 0.0 if load.together else chance.random()
        with VideoFile(path, *SIZE) as writer:
            for number in range(round(seconds * fps)):
                shown = number - delay if number else 0
                writer.write(pictures[number % SCENES], round(shown * 1e9 / fps))
    return paths


def configuration(films: Sequence[Path]) -> Config:
    """Return the configuration that ships, in which each stream shows a film.

    The detector searches only full frames, because skipping tiles under load would make its time
    depend on the load.
    """
    sources = tuple(Source(name=film.stem, url=str(film)) for film in films)
    config, replace = load_config(CONFIGS / "default.toml"), msgspec.structs.replace
    return replace(
        config,
        capture=replace(config.capture, sources=sources),
        detector=replace(config.detector, tiles=0, extra_looks=0.0),
    )


def measure(load: Load, seconds: float) -> Real:
    """Run these streams, and return the result."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shown = films(folder, load, START_WITHIN_S + WARM_UP_S + seconds)
        with Pipeline(configuration(shown), folder) as pipeline:
            pipeline.wait_ready()
            time.sleep(WARM_UP_S)
            return _measured(pipeline, load, seconds)


def _measured(pipeline: Pipeline, load: Load, seconds: float) -> Real:
    with Listener(pipeline.config) as listener:
        captured, used, machine, began = _state(pipeline)
        arrivals = listener.hear(seconds)
        captured_after, used_after, machine_after, ended = _state(pipeline)
    frames, took = captured_after - captured, ended - began
    if not arrivals or not frames:
        raise EmostreamError("nothing came while measuring")
    cpu = {stage: used_after[stage] - used[stage] for stage in STAGES}
    others = (machine_after - machine) - sum(cpu.values())
    ages = [arrival - header.t for header, arrival in arrivals]
    answers = [header for header, _ in arrivals]
    found = phases(answers, load.fps)
    if len(found) < load.streams:
        raise EmostreamError(f"only {len(found)} of {load.streams} streams were answered")
    rate = len(arrivals) / seconds
    return Real(
        answers_per_s=rate,
        p50_ms=float(np.percentile(ages, 50)) / 1e6,
        dropped_percent=max(0.0, 100 * (1 - rate * took / frames)),
        cpu_ms={stage: 1000 * value / frames for stage, value in cpu.items()},
        faces=sum(len(header.faces) for header in answers) / len(answers),
        other_cores=max(0.0, others / took),
        phases=found,
        pauses=pauses(answers),
    )


def _state(pipeline: Pipeline) -> tuple[float, dict[str, float], float, float]:
    """Return captured frames, CPU time (s) of the stages and in total, and the time."""
    page = scrape(f"{pipeline.metrics_url('capture')}/metrics")
    if not isinstance(page, Scrape):
        raise EmostreamError(f"capture does not answer: {page}")
    machine = psutil.cpu_times()
    return (
        page.total(MetricName.FRAMES_GIVEN),
        Costs.of(pipeline.stage_processes()).cpu_s,
        sum(machine) - machine.idle - machine.iowait,
        time.monotonic(),
    )


def figures_of(run: Real, base: Figures) -> Figures:
    """Return the service times of a run, with the sizes of `base`."""
    return msgspec.structs.replace(
        base,
        capture_ms=run.cpu_ms["capture"],
        detector_ms=run.cpu_ms["detector"],
        detector_face_ms=0.0,
        classifier_ms=run.cpu_ms["classifier"],
        classifier_face_ms=0.0,
        consumer_ms=run.cpu_ms["recorder"] + run.cpu_ms["display"],
        usual_pause_ms=run.pauses.usual_ms,
        pause_exponent=run.pauses.exponent,
    )
