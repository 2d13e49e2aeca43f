"""The current faults of a recorder, for its log, `/readyz` and metrics."""

import logging
import time
from collections.abc import Callable
from typing import Final

from emostream.services.recorder.archive.faults import Fault, WriteError
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.shared.health import Health

LOG_INTERVAL_S: Final = 60.0
# The part that every recorder has.
ROWS: Final = "rows"
log = logging.getLogger("emostream")


class FaultStatus:
    """The faults of a recorder's parts: its rows, each stream's video, its limits.

    While a part has a fault, the recorder is not ready. It logs a line when a fault starts (at most
    once per minute for the same fault) and when it ends.
    """

    def __init__(
        self,
        health: Health,
        metrics: RecorderMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self._faults: dict[str, Fault] = {}
        self._logged: dict[tuple[str, Fault], float] = {}

    def begin(self, part: str, error: WriteError, effect: str) -> None:
        """Record that a part cannot be written, or still cannot; `effect` is the consequence."""
        self._health.set_missing(part, f"{error.fault}: {effect}")
        if self._faults.get(part) is error.fault:
            return
        self._faults[part] = error.fault
        self._metrics.tell_faults(set(self._faults.values()))
        key, now = (part, error.fault), self._clock()
        if now - self._logged.get(key, float("-inf")) >= LOG_INTERVAL_S:
            self._logged[key] = now
            log.warning("%s; %s", error, effect)

    def end(self, part: str, effect: str) -> None:
        """Record that a part can be written again, or need not be."""
        if fault := self._faults.pop(part, None):
            self._health.clear_missing(part)
            self._metrics.tell_faults(set(self._faults.values()))
            log.info("%s no longer: %s", fault, effect)
