"""`emostream bench live`: the whole pipeline on the demo, from a subscriber's view."""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from emostream.services.cli.bench.process_costs import Costs
from emostream.services.cli.bench.result_file import Better, Figure, ResultFile, figure
from emostream.services.cli.bench.result_options import check_result_options, deliver
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.bus import RESULTS_HWM, Bus, Subscription
from emostream.shared.config import Config, load
from emostream.shared.errors import EmostreamError
from emostream.shared.messages import Emotion, Event, Message
from emostream.shared.progress import ProgressBar
from emostream.shared.security import check_own_processes
from emostream.shared.sequence_validator import SequenceValidator
from emostream.shared.temporary_folder import temporary_folder

WHAT: Final = "emostream bench"
FIRST_EVENT_WITHIN_S: Final = 30.0


@dataclass(frozen=True)
class Result:
    """One run: end-to-end latency from capture to a subscriber, and the cost of each stage.

    `start_seconds` is the time until every stage was ready and an event had arrived. Memory is in
    MB, with shared pages divided among processes (PSS).
    """

    ready_seconds: float
    start_seconds: float
    frames: int
    faces_per_frame: float
    dropped_percent: float
    latency_p50_ms: float
    latency_p99_ms: float
    cpu_ms_per_frame: dict[str, float]
    memory_mb: dict[str, float]
    memory_growth_mb: dict[str, float]


class Listener:
    """Subscribes to the pipeline before its start; a context manager."""

    def __init__(self, config: Config) -> None:
        self._validator = SequenceValidator()
        self._arrivals: list[tuple[Emotion, int]] = []
        self._event = threading.Event()
        self._event_at = 0.0
        self._bus = Bus("bench", security=config.security)
        topics = Subscription(config.connect.emotion, ["emotion/", "event/"], RESULTS_HWM)
        self._receiver = self._bus.receiver([topics], self._deliver, lambda _: None)

    def __enter__(self) -> "Listener":
        self._bus.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._receiver.close()
        self._bus.__exit__(*error)

    def first_event(self, within: float) -> float:
        """Return when the first event arrived (s, monotonic); EmostreamError if not `within` s.

        The demo always shows faces, so there is an event with the first frames.
        """
        if not self._event.wait(within):
            raise EmostreamError("no event came: bench needs a source that shows faces")
        return self._event_at

    def hear(self, seconds: float) -> list[tuple[Emotion, int]]:
        """Return the answers of this many seconds, with their arrival in ns since the epoch."""
        began = len(self._arrivals)
        time.sleep(seconds)
        return self._arrivals[began:]

    def _deliver(self, message: Message) -> None:
        header = message.header
        if isinstance(header, Event) and not self._event.is_set():
            self._event_at = time.monotonic()
            self._event.set()
        # The counts of a quiet stream are not answers.
        if isinstance(header, Emotion) and header.is_data:
            self._validator.check(message)
            self._arrivals.append((header, time.time_ns()))


def run(options: argparse.Namespace) -> int:
    """Measure, print the medians over the runs, and write and compare them as requested."""
    check_own_processes(_config(options).security, "bench")
    check_result_options(options, WHAT)
    results = []
    with ProgressBar("measuring", options.runs, "runs") as bar:
        for _ in range(options.runs):
            results.append(measure(options))
            bar.advance()
    found = figures(results)
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        Console().print(_table(found, len(results)))
    return deliver(options, ResultFile.of(WHAT, found))


def measure(options: argparse.Namespace) -> Result:
    """Start a pipeline, measure it for the requested time, and stop it."""
    with temporary_folder() as folder:
        began = time.monotonic()
        with Pipeline(_config(options), folder) as pipeline, Listener(pipeline.config) as listener:
            ready = pipeline.wait_ready()
            ready_at = time.monotonic()
            start = max(ready_at, listener.first_event(FIRST_EVENT_WITHIN_S)) - began
            time.sleep(options.warm_up)
            before = Costs.of(pipeline.stage_processes())
            arrivals = listener.hear(options.seconds)
            after = Costs.of(pipeline.stage_processes())
    return _result((ready, start), arrivals, before, after)


def _config(options: argparse.Namespace) -> Config:
    video = ["recorder.video=true"] if options.video else []
    return load(options.config, [*options.set, *video])


def _result(
    times: tuple[float, float],
    arrivals: list[tuple[Emotion, int]],
    before: Costs,
    after: Costs,
) -> Result:
    if not arrivals:
        raise EmostreamError("no emotions arrived during the measurement: increase --seconds")
    latencies = np.array([arrival - header.t for header, arrival in arrivals]) / 1e6
    # By stream: the frames captured between the first and last answer, and those answered.
    seqs: dict[str, set[int]] = {}
    for header, _ in arrivals:
        seqs.setdefault(header.stream, set()).add(header.seq)
    captured = sum(max(seen) - min(seen) + 1 for seen in seqs.values())
    answered = sum(len(seen) for seen in seqs.values())
    memory = {
        stage: after.memory_mb[stage] - before.memory_mb.get(stage, 0.0)
        for stage in after.memory_mb
    }
    return Result(
        ready_seconds=times[0],
        start_seconds=times[1],
        frames=captured,
        faces_per_frame=statistics.fmean(len(header.faces) for header, _ in arrivals),
        dropped_percent=100 * (1 - answered / captured),
        latency_p50_ms=float(np.percentile(latencies, 50)),
        latency_p99_ms=float(np.percentile(latencies, 99)),
        cpu_ms_per_frame={
            stage: 1e3 * (spent - before.cpu_s.get(stage, 0.0)) / captured
            for stage, spent in after.cpu_s.items()
        },
        memory_mb=after.memory_mb,
        memory_growth_mb=memory,
    )


def figures(results: Sequence[Result]) -> dict[str, Figure]:
    """Return the figures over the runs, by name."""
    found: dict[str, Figure] = {}

    def add(
        name: str, value: Callable[[Result], float], unit: str, better: Better = "lower"
    ) -> None:
        found[name] = figure([value(result) for result in results], unit, better)

    def of_stage(kind: str, stage: str) -> Callable[[Result], float]:
        return lambda one: float(getattr(one, kind)[stage])

    add("ready", lambda one: one.ready_seconds, "s")
    add("ready and an event heard", lambda one: one.start_seconds, "s")
    add("frames captured", lambda one: one.frames, "frames", "")
    add("faces per frame", lambda one: one.faces_per_frame, "faces", "")
    add("dropped", lambda one: one.dropped_percent, "%")
    add("capture to emotion, p50", lambda one: one.latency_p50_ms, "ms")
    add("capture to emotion, p99", lambda one: one.latency_p99_ms, "ms")
    for stage in STAGES:
        add(f"{stage}: processor", of_stage("cpu_ms_per_frame", stage), "ms per frame")
    add("all stages: processor", lambda one: sum(one.cpu_ms_per_frame.values()), "ms per frame")
    for stage in STAGES:
        add(f"{stage}: memory", of_stage("memory_mb", stage), "MB")
    add("all stages: memory", lambda one: sum(one.memory_mb.values()), "MB")
    for stage in STAGES:
        add(f"{stage}: growth", of_stage("memory_growth_mb", stage), "MB of growth", "")
    return found


def _table(found: dict[str, Figure], runs: int) -> Table:
    table = Table(title=f"emostream bench: median of {runs} runs (lowest to highest)")
    table.add_column("figure")
    for column in ("median", "range", "unit"):
        table.add_column(column, justify="right" if column != "unit" else "left")
    for name, one in found.items():
        low, high = one.range
        table.add_row(name, f"{one.median:g}", f"{low:g} to {high:g}", one.unit)
    return table
