"""`emostream bench`: measures the whole pipeline on the demo, as a subscriber sees it.

`emostream bench analyze` measures the analysis of recordings.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from argparse import SUPPRESS
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from emostream.services.cli.options import add_config_options, not_negative, positive
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.bus import Bus, Subscription
from emostream.shared.config import Config, load
from emostream.shared.errors import ConfigError, EmostreamError, ExitCode
from emostream.shared.messages import Emotion, Message
from emostream.shared.progress import ProgressBar
from emostream.shared.sequence_validator import SequenceValidator
from emostream.shared.shipped_files import CONFIGS, ROOT
from emostream.shared.temporary_folder import temporary_folder

LIVE: Final = {
    "config": CONFIGS / "default.toml",
    "set": [],
    "seconds": 60.0,
    "runs": 5,
    "warm_up": 5.0,
    "json": False,
}


@dataclass(frozen=True)
class Result:
    """One run: latency from capture to the arrival at a subscriber, resident memory in MB."""

    ready_seconds: float
    frames: int
    faces_per_frame: float
    dropped_percent: float
    latency_p50_ms: float
    latency_p99_ms: float
    memory_mb: dict[str, float]
    memory_growth_mb: dict[str, float]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.argument_default = SUPPRESS
    _add_live_options(parser)
    parser.set_defaults(**LIVE, run=run)
    kinds = parser.add_subparsers(metavar="live|analyze")
    # Without defaults of its own, so that options before and after the word both count.
    live = kinds.add_parser("live", help=parser.description, argument_default=SUPPRESS)
    _add_live_options(live)
    text = "measures how quick `emostream analyze` is against the original program's loop"
    # Its options are read where it is: without a prefix for options, all words are positional.
    analyze = kinds.add_parser("analyze", help=text, add_help=False, prefix_chars="\0")
    analyze.add_argument("words", nargs="*")
    analyze.set_defaults(run=lambda options: _run_analyze(parser, options))


def _add_live_options(parser: argparse.ArgumentParser) -> None:
    add_config_options(parser, SUPPRESS, shown="default")
    length = f"length of a run (default: {LIVE['seconds']:g})"
    parser.add_argument("--seconds", type=positive(float), help=length)
    parser.add_argument("--runs", type=positive(int), help=f"default: {LIVE['runs']}")
    wait = f"seconds before measuring (default: {LIVE['warm_up']:g})"
    parser.add_argument("--warm-up", type=not_negative, help=wait)
    parser.add_argument("--json", action="store_true", help="print all runs as JSON")


def _run_analyze(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Measure `analyze`, unless options of `live` were given that it would ignore.

    ConfigError without the checkout, whose benchmarks compare with other programs.
    """
    for name, value in LIVE.items():
        if getattr(options, name) != value:
            parser.error(f"--{name.replace('_', '-')} before `analyze`: its options come after it")
    if not (ROOT / "benchmarks" / "analyze").is_dir():
        raise ConfigError(
            "emostream bench analyze needs the checkout, since it compares with other programs: "
            "clone the repository, run `make install` there, and call it from there"
        )
    command = [sys.executable, "-m", "benchmarks.analyze", *options.words]
    code = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode
    # A negative one is the signal that ended it.
    return code if code >= 0 else ExitCode.FAILURE


def run(options: argparse.Namespace) -> int:
    """Measure, and print the medians over the runs."""
    results = []
    with ProgressBar("measuring", options.runs, "runs") as bar:
        for _ in range(options.runs):
            results.append(measure(options))
            bar.advance()
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        Console().print(_table(results))
    return ExitCode.OK


def measure(options: argparse.Namespace) -> Result:
    """Start a pipeline, measure it for the time asked, and end it."""
    config = load(options.config, options.set)
    with temporary_folder() as folder, Pipeline(config, folder) as pipeline:
        ready = pipeline.wait_ready()
        time.sleep(options.warm_up)
        before = pipeline.memory()
        arrivals = _listen(pipeline.config, options.seconds)
        after = pipeline.memory()
    return _result(ready, arrivals, before, after)


def _listen(config: Config, seconds: float) -> list[tuple[Emotion, int]]:
    """Return the emotion messages of the time with the ns since the epoch of their arrival."""
    arrivals: list[tuple[Emotion, int]] = []

    validator = SequenceValidator()

    def deliver(message: Message) -> None:
        header = message.header
        # The sums of a stream that is quiet are no answers.
        if isinstance(header, Emotion) and header.is_data:
            validator.check(message)
            arrivals.append((header, time.time_ns()))

    with Bus("bench", security=config.security) as bus:
        subscription = Subscription(config.connect.emotion, ["emotion/"], 0)
        receiver = bus.receiver([subscription], deliver, lambda _: None)
        time.sleep(seconds)
        receiver.close()
    return arrivals


def _result(
    ready: float,
    arrivals: list[tuple[Emotion, int]],
    before: dict[str, float],
    after: dict[str, float],
) -> Result:
    if not arrivals:
        raise EmostreamError("no emotions came while measuring: give it more --seconds")
    latencies = np.array([arrival - header.t for header, arrival in arrivals]) / 1e6
    # By stream: what was captured between the first and last answer, and what was answered of it.
    seqs: dict[str, set[int]] = {}
    for header, _ in arrivals:
        seqs.setdefault(header.stream, set()).add(header.seq)
    captured = sum(max(seen) - min(seen) + 1 for seen in seqs.values())
    answered = sum(len(seen) for seen in seqs.values())
    return Result(
        ready_seconds=ready,
        frames=captured,
        faces_per_frame=statistics.fmean(len(header.faces) for header, _ in arrivals),
        dropped_percent=100 * (1 - answered / captured),
        latency_p50_ms=float(np.percentile(latencies, 50)),
        latency_p99_ms=float(np.percentile(latencies, 99)),
        memory_mb=after,
        memory_growth_mb={stage: after[stage] - before.get(stage, 0.0) for stage in after},
    )


def _table(results: list[Result]) -> Table:
    table = Table(title=f"emostream bench: median of {len(results)} runs (lowest to highest)")
    table.add_column("figure")
    table.add_column("median", justify="right")
    table.add_column("range", justify="right")

    def row(name: str, values: list[float]) -> None:
        spread = f"{min(values):.2f} to {max(values):.2f}"
        table.add_row(name, f"{statistics.median(values):.2f}", spread)

    row("time to ready, s", [result.ready_seconds for result in results])
    row("frames captured", [result.frames for result in results])
    row("faces a frame", [result.faces_per_frame for result in results])
    row("dropped, %", [result.dropped_percent for result in results])
    row("capture to emotion p50, ms", [result.latency_p50_ms for result in results])
    row("capture to emotion p99, ms", [result.latency_p99_ms for result in results])
    for stage in STAGES:
        row(f"{stage} resident, MB", [result.memory_mb[stage] for result in results])
        row(f"{stage} growth, MB", [result.memory_growth_mb[stage] for result in results])
    return table
