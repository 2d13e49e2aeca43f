"""One measurement of a load: the stages, the source that replaces capture, and a subscriber."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from emostream.services.cli.bench.load.work import Work, drawn
from emostream.services.cli.bench.process_costs import Costs
from emostream.services.cli.processes.child_process import start, stop
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.shared.bus import RESULTS_HWM, Bus, Subscription
from emostream.shared.config import Config
from emostream.shared.errors import EmostreamError
from emostream.shared.messages import Emotion, Message
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape
from emostream.shared.scraping import scrape

SOURCE: Final = (sys.executable, "-P", "-m", "emostream.services.cli.bench.load.source")
# Frames in flight at the start and end of the measurement.
EDGE: Final = 1


@dataclass(frozen=True)
class Point:
    """The result of one load: rates per s, ages in ms, dropped frames in percent of those sent.

    `faces` is the mean number of faces per answer. `per_stream` are the answers/s of each stream.
    `cpu_percent` is the CPU use in percent of one core for each stage, the `source`, and the
    measuring `listener`; `idle_percent` is the idle share of all cores. `dropped_by` counts frames
    by `stage/reason`.
    """

    work: Work
    seconds: float
    answered: float
    dropped_percent: float
    age_p50_ms: float
    age_p99_ms: float
    faces: float
    per_stream: Sequence[float]
    cpu_percent: Mapping[str, float]
    idle_percent: float
    dropped_by: Mapping[str, int]

    @property
    def unfairness(self) -> float:
        """The highest number of answers of a stream divided by the lowest."""
        return max(self.per_stream) / max(min(self.per_stream), 1e-3)

    @property
    def cpu_ms(self) -> dict[str, float]:
        """The CPU time in ms per answered frame of each stage."""
        return {name: 10 * share / self.answered for name, share in self.cpu_percent.items()}


@dataclass(frozen=True)
class Setup:
    """What to measure and for how long (s); `folder` stores the drawn frames.

    The load runs for `warm_up` s first; with `in_step`, the frames of all streams are sent at once.
    """

    config: Config
    stages: Sequence[str]
    folder: Path
    warm_up: float
    seconds: float
    in_step: bool = False


class Arrivals:
    """The received answers: frame numbers by stream, and all ages."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.first: dict[str, int] = {}
        self.last: dict[str, int] = {}
        self.ages_ms: list[float] = []
        self.faces = 0

    def take(self, message: Message) -> None:
        """Record an answer. The receiving thread calls this."""
        header = message.header
        if not isinstance(header, Emotion) or not header.is_data or header.part:
            return
        self.ages_ms.append((time.time_ns() - header.t) / 1e6)
        self.faces += len(header.faces)
        stream = header.stream
        self.counts[stream] = self.counts.get(stream, 0) + 1
        self.first.setdefault(stream, header.seq)
        self.last[stream] = header.seq


def measure(setup: Setup, work: Work) -> Point:
    """Run the stages on the load, and return the result.

    Raises EmostreamError if nothing is answered.
    """
    run = setup.folder / "run"
    run.mkdir(exist_ok=True)
    frames = drawn(work, setup.folder)
    with Pipeline(setup.config, run, stages=setup.stages) as pipeline:
        with _source(pipeline.config, work, frames, run, in_step=setup.in_step) as source:
            pipeline.wait_ready()
            time.sleep(setup.warm_up)
            processes = {**pipeline.stage_processes(), "source": source}
            processes["listener"] = psutil.Process()
            return _measure(pipeline, work, setup.seconds, processes)


@contextlib.contextmanager
def _source(
    config: Config, work: Work, frames: Path, folder: Path, *, in_step: bool
) -> Iterator[psutil.Process]:
    words = ["--bind", config.capture.bind, "--frames", str(frames)]
    words += ["--streams", str(work.streams), "--fps", str(work.fps)]
    with (folder / "source.log").open("wb") as log:
        process = start([*SOURCE, *words, *(["--in-step"] if in_step else [])], log=log)
        try:
            yield psutil.Process(process.pid)
            if process.poll() is not None:
                said = (folder / "source.log").read_text("utf-8", "replace").strip() or "nothing"
                raise EmostreamError(f"the load source ended with: {said}")
        finally:
            stop([process])


def _measure(
    pipeline: Pipeline, work: Work, seconds: float, processes: Mapping[str, psutil.Process]
) -> Point:
    arrivals = Arrivals()
    dropped_before = _dropped(pipeline)
    with Bus("bench", security=pipeline.config.security) as bus:
        results = Subscription(pipeline.config.connect.emotion, ["emotion/"], RESULTS_HWM)
        before, began = Costs.of(processes), time.monotonic()
        psutil.cpu_percent()
        receiver = bus.receiver([results], arrivals.take, lambda _: None)
        time.sleep(seconds)
        receiver.close()
        took, after = time.monotonic() - began, Costs.of(processes)
        busy = psutil.cpu_percent()
    if not arrivals.ages_ms:
        raise EmostreamError(f"{work}: no answers came; the stages said:\n{_tail(pipeline)}")
    names = [f"cam{number}" for number in range(work.streams)]
    came = sum(
        arrivals.last[name] - arrivals.first[name] + 1
        if arrivals.counts.get(name, 0) > EDGE
        else round(work.fps * took)
        for name in names
    )
    dropped = _dropped(pipeline)
    return Point(
        work=work,
        seconds=took,
        answered=sum(arrivals.counts.values()) / took,
        dropped_percent=max(0.0, 100 * (1 - sum(arrivals.counts.values()) / came)),
        age_p50_ms=float(np.percentile(arrivals.ages_ms, 50)),
        age_p99_ms=float(np.percentile(arrivals.ages_ms, 99)),
        faces=arrivals.faces / len(arrivals.ages_ms),
        per_stream=[arrivals.counts.get(name, 0) / took for name in names],
        cpu_percent={
            name: 100 * (spent - before.cpu_s.get(name, 0.0)) / took
            for name, spent in after.cpu_s.items()
        },
        idle_percent=100 - busy,
        dropped_by={
            name: count - dropped_before.get(name, 0)
            for name, count in dropped.items()
            if count > dropped_before.get(name, 0)
        },
    )


def _dropped(pipeline: Pipeline) -> dict[str, int]:
    """Return the frames that did not get through, by stage and reason."""
    found: dict[str, int] = {}
    for stage in ("detector", "classifier"):
        answer = scrape(f"{pipeline.metrics_url(stage)}/metrics")
        if isinstance(answer, Scrape):
            for reason in answer.values(MetricName.FRAMES_DROPPED, "reason"):
                count = answer.total(MetricName.FRAMES_DROPPED, reason=reason)
                found[f"{stage}/{reason}"] = round(count)
            found[f"{stage}/lost on the way"] = round(answer.total(MetricName.FRAMES_LOST))
            if answer.has(MetricName.DETECTOR_WHOLE_ONLY):
                found["detector/without its tiles"] = round(
                    answer.total(MetricName.DETECTOR_WHOLE_ONLY)
                )
    return found


def _tail(pipeline: Pipeline) -> str:
    return "\n".join(pipeline.log.read_text("utf-8", "replace").splitlines()[-10:])
