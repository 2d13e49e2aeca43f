"""What a recorder cannot write now, as its log, `/readyz` and metrics say it."""

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

    While a part has one the recorder is not ready. The log has a line when a fault begins, once a
    minute at most for the same one, and a line when it is over.
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
        """Note that a part cannot be written, or still cannot; `effect` is what that means now."""
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
        """Note that a part can be written, or need not be any more."""
        if fault := self._faults.pop(part, None):
            self._health.clear_missing(part)
            self._metrics.tell_faults(set(self._faults.values()))
            log.info("%s no longer: %s", fault, effect)
