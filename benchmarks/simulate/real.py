"""A real pipeline with many small streams: its answers, and the cost of each stage."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import psutil

from benchmarks.simulate.figures import Figures
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.cli.bench.live import Listener
from emostream.services.cli.bench.process_costs import Costs
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.config import Config, Source, load
from emostream.shared.errors import EmostreamError
from emostream.shared.metric_names import MetricName
from emostream.shared.scraping import Scrape, scrape

SIZE: Final = (320, 180)
# Scenes of the film, which is played in a loop.
SCENES: Final = 100
WARM_UP_S: Final = 5.0


@dataclass(frozen=True)
class Real:
    """A run: answers per second, their median age in ms, and lost frames in percent.

    `cpu_ms` is the CPU time of each stage per captured frame, `faces` the mean number per frame,
    and `other_cores` the CPU use of other programs.
    """

    answers_per_s: float
    p50_ms: float
    dropped_percent: float
    cpu_ms: dict[str, float]
    faces: float
    other_cores: float


def film(folder: Path, fps: float) -> Path:
    """Write a film of the demo, and return its path."""
    path, demo = folder / "film.mp4", DemoScene(*SIZE, fps=fps)
    with VideoFile(path, *SIZE) as writer:
        for number in range(SCENES):
            writer.write(demo.frame(number), round(number * 1e9 / fps))
    return path


def configuration(film: Path, streams: int) -> Config:
    """Return a configuration in which each stream shows the film.

    The detector searches only full frames, because skipping tiles under load would make its time
    depend on the load.
    """
    sources = tuple(
        Source(name=f"cam{number}", url=str(film), loop=True) for number in range(streams)
    )
    config, replace = load(None), msgspec.structs.replace
    return replace(
        config,
        capture=replace(config.capture, sources=sources),
        detector=replace(config.detector, tiles=0, extra_looks=0.0),
    )


def measure(streams: int, fps: float, seconds: float) -> Real:
    """Run this many streams, and return the result."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = configuration(film(folder, fps), streams)
        with Pipeline(config, folder) as pipeline:
            pipeline.wait_ready()
            time.sleep(WARM_UP_S)
            return _measured(pipeline, seconds)


def _measured(pipeline: Pipeline, seconds: float) -> Real:
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
    rate = len(arrivals) / seconds
    return Real(
        answers_per_s=rate,
        p50_ms=float(np.percentile(ages, 50)) / 1e6,
        dropped_percent=max(0.0, 100 * (1 - rate * took / frames)),
        cpu_ms={stage: 1000 * value / frames for stage, value in cpu.items()},
        faces=sum(len(header.faces) for header, _ in arrivals) / len(arrivals),
        other_cores=max(0.0, others / took),
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
    )
