"""Causes a fault, and measures how long the pipeline takes to recover."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.chaos.observer import Observer
from benchmarks.chaos.plan import HOLD_S, Fault, Kind
from benchmarks.chaos.recordings_disk import full, locked
from emostream.services.cli.processes.launchers import lives
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.recorder.archive.schema import DATABASE
from emostream.shared.config import Config
from emostream.shared.errors import EmostreamError

SIGNALS: Final = {
    Kind.KILL: signal.SIGKILL,
    Kind.TERMINATE: signal.SIGTERM,
    Kind.STOP: signal.SIGSTOP,
}
RECOVERY_S: Final = 5.0
TENSORFLOW_RECOVERY_S: Final = 10.0
# A stage that does not recover within this time is given up, so that others are still measured.
GIVE_UP_S: Final = 60.0
POLL_S: Final = 0.05


@dataclass(frozen=True)
class Disturbance:
    """A fault with its recovery time and limit, in s.

    `longest_gap` is the longest time without a result in the meantime.
    """

    fault: Fault
    recovery: float
    limit: float
    longest_gap: float


class Disturber:
    """Causes faults in a pipeline watched by `observer`; `wait` waits for some s."""

    def __init__(
        self, pipeline: Pipeline, observer: Observer, wait: Callable[[float], None]
    ) -> None:
        self._pipeline = pipeline
        self._observer = observer
        self._wait = wait

    def cause(self, fault: Fault) -> Disturbance:
        """Cause the fault after its pause, and wait until the pipeline has recovered.

        Raises EmostreamError if the whole pipeline ended.
        """
        self._wait(fault.pause)
        self._observer.longest_gap()
        if fault.kind.is_of_process:
            recovery = self._disturb_process(fault)
        else:
            with self._held(fault.kind):
                self._wait(HOLD_S)
            recovery = self._recovery(fault.stage, time.monotonic(), time.time_ns())
        limit = recovery_limit(fault, self._pipeline.config)
        return Disturbance(fault, recovery, limit, self._observer.longest_gap())

    @contextlib.contextmanager
    def _held(self, kind: Kind) -> Iterator[None]:
        folder = Path(self._pipeline.config.recorder.folder)
        with full(folder) if kind is Kind.FULL_DISK else locked(folder / DATABASE):
            yield

    def _disturb_process(self, fault: Fault) -> float:
        process = self._process(fault.stage)
        began = time.monotonic()
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(SIGNALS[fault.kind])
        while lives(process) and time.monotonic() - began < GIVE_UP_S:
            self._wait(POLL_S)
        # Marks from now on come from the next process.
        return self._recovery(fault.stage, began, time.time_ns())

    def _recovery(self, stage: str, began: float, moment: int) -> float:
        while not self._works(stage, moment):
            if self._pipeline.honcho.poll() is not None:
                raise EmostreamError(f"the whole pipeline ended: see {self._pipeline.log}")
            if time.monotonic() - began > GIVE_UP_S:
                break
            self._wait(POLL_S)
        return time.monotonic() - began

    def _works(self, stage: str, moment: int) -> bool:
        if stage == "display":
            # Its mark does not appear in any output, but its metrics show that pictures reach it.
            return not self._pipeline.missing(stage)
        return self._observer.has_worked_since(stage, moment)

    def _process(self, stage: str) -> psutil.Process:
        deadline = time.monotonic() + GIVE_UP_S
        while time.monotonic() < deadline:
            if found := self._pipeline.stage_processes().get(stage):
                return found
            self._wait(POLL_S)
        raise EmostreamError(f"{stage} does not come back: see {self._pipeline.log}")


def recovery_limit(fault: Fault, config: Config) -> float:
    """Return the time limit in s for the stage to recover."""
    if fault.kind is Kind.STOP:
        return config.live.hung_after + RECOVERY_S
    if fault.stage == "classifier" and serves_tensorflow(config):
        return TENSORFLOW_RECOVERY_S
    return RECOVERY_S


def serves_tensorflow(config: Config) -> bool:
    """Whether the classifier's answers come from TensorFlow."""
    engine, suffix = config.classifier.engine, Path(config.classifier.model).suffix
    return engine == "keras" or (engine == "auto" and suffix in (".keras", ".h5"))
