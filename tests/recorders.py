"""Recorders without sockets, as the process makes them, for tests."""

import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.fault_status import FaultStatus
from emostream.services.recorder.lossless import LosslessRecorder
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.services.recorder.process import live_stage
from emostream.services.recorder.stage import RecorderStage
from emostream.shared.config import Config, Recorder
from emostream.shared.errors import MessageError
from emostream.shared.health import Health

SILENT_AFTER = 10.0


class LiveRecorder:
    """A live recorder's stage, with its health, its metrics, and the errors of bad messages.

    `settings` are those of the recorder that are not the default.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float],
        *,
        video: bool = False,
        buffer_s: float = 120,
    ) -> None:
        settings = Recorder(
            folder=str(folder), video=video, buffer_s=buffer_s, max_gb=1_000_000, max_days=36_600
        )
        self.health = Health(SILENT_AFTER)
        self.health.beat()
        self.registry = CollectorRegistry()
        self.errors: list[MessageError] = []
        self.stage: RecorderStage = live_stage(
            Config(recorder=settings), self.registry, self.health, self.errors.append, clock
        )

    def value(self, name: str, **labels: str) -> float:
        """Return a sample of the recorder's metrics, 0 if there is none yet."""
        return self.registry.get_sample_value(f"emostream_recorder_{name}", labels) or 0.0


def fault_status(metrics: RecorderMetrics) -> FaultStatus:
    """Return a status that nobody looks at."""
    return FaultStatus(Health(SILENT_AFTER), metrics)


def fail_with(error: MessageError) -> None:
    """Fail: no message of the test is bad."""
    raise error


def lossless_recorder(
    archive: ArchiveWriter,
    bad: Callable[[MessageError], None] = fail_with,
    patience: float = 20.0,
    clock: Callable[[], float] = time.monotonic,
    window: int = 16,
) -> LosslessRecorder:
    """Return a lossless recorder whose metrics and faults nobody looks at."""
    metrics = RecorderMetrics(CollectorRegistry())
    faults = fault_status(metrics)
    return LosslessRecorder(archive, metrics, faults, bad, patience, window, clock)
