"""The command line of the benchmark, and the run from the pipeline's start to its table."""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.chaos.disturbance import Disturbance, Disturber
from benchmarks.chaos.findings import missing_rows, sums, unreadable_videos
from benchmarks.chaos.observer import observed
from benchmarks.chaos.plan import HOLD_S, PAUSE_S, faults
from benchmarks.chaos.recordings_disk import enter_namespace, mounted
from benchmarks.chaos.view import Outcome, figures, show
from benchmarks.results import finish, parse
from emostream.services.cli.options import add_config_options, positive
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.recorder.archive.schema import DATABASE
from emostream.shared.config import Config, load
from emostream.shared.progress import ProgressBar

WHAT: Final = "python -m benchmarks.chaos"
HUNG_AFTER: Final = 5.0
# By then, every stage has reached its full memory size.
SETTLE_S: Final = 15.0
# There must be time for every kind of fault between the two memory measurements.
LEAST_MINUTES: Final = (2 * (HOLD_S + PAUSE_S[1]) + 2 * SETTLE_S) / 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, print the figures; FAILURE if one is out of its limit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog=WHAT, description=__doc__)
    parser.add_argument("--minutes", type=positive(float), default=10.0, help="(%(default)g)")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed repeats the same faults (%(default)d)"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="a new folder for log and videos")
    parser.add_argument("--in-namespace", action="store_true", help=argparse.SUPPRESS)
    add_config_options(parser, example="classifier.engine=keras")
    options = parse(parser, WHAT, words)
    if options.minutes < LEAST_MINUTES:
        parser.error(f"--minutes: {LEAST_MINUTES:g} or more, so that there is time for every fault")
    has_disk = options.in_namespace or enter_namespace([*words, "--in-namespace"])
    if not has_disk:
        print("no mount namespace (unshare) available: the full disk is skipped", file=sys.stderr)
    config = chaos_config(load(options.config, options.set))
    with tempfile.TemporaryDirectory(prefix="emostream-chaos-") as private:
        folder = (options.keep or Path(private)).absolute()
        folder.mkdir(exist_ok=True)
        outcome = run(config, folder, 60 * options.minutes, options.seed, has_disk=has_disk)
    return finish(options, WHAT, figures(outcome), good=show(outcome))


def chaos_config(config: Config) -> Config:
    """Return the configuration with a short `hung_after`, and with video."""
    replace = msgspec.structs.replace
    return replace(
        config,
        live=replace(config.live, hung_after=HUNG_AFTER),
        recorder=replace(config.recorder, video=True),
    )


def run(config: Config, folder: Path, seconds: float, seed: int, *, has_disk: bool) -> Outcome:
    """Start the pipeline, cause faults for that long, and check the results."""
    recordings = folder / "recordings"
    with (
        mounted(recordings) if has_disk else contextlib.nullcontext(),
        Pipeline(config, folder) as pipeline,
        observed(pipeline.config) as observer,
        ProgressBar("chaos", round(seconds), "s") as bar,
    ):
        began = time.monotonic()

        def wait(pause: float) -> None:
            deadline = time.monotonic() + pause
            while (left := deadline - time.monotonic()) > 0:
                time.sleep(min(left, 0.2))
                bar.update(min(round(time.monotonic() - began), round(seconds)), note=note)

        note = "starts"
        pipeline.wait_ready()
        wait(SETTLE_S)
        before = pipeline.memory()
        disturbances: list[Disturbance] = []
        disturber = Disturber(pipeline, observer, wait)
        for fault in faults(seed, seconds - 2 * SETTLE_S, disk=has_disk):
            if time.monotonic() - began > seconds - SETTLE_S:
                break
            note = f"{fault.kind.value} of {fault.stage}"
            disturbances.append(disturber.cause(fault))
        note = "settles"
        wait(SETTLE_S)
        after, left = pipeline.memory(), sums(pipeline)
        pipeline.stop()
        credited = observer.credited & observer.answered
        videos, unreadable = unreadable_videos(recordings)
        return Outcome(
            disturbances=disturbances,
            results=len(observer.answered),
            sums=left,
            videos=videos,
            unreadable=unreadable,
            credited=len(credited),
            missing_rows=len(missing_rows(recordings / DATABASE, credited)),
            memory_before=before,
            memory_after=after,
        )
