"""Logs whether a process is ready."""

import logging
import time
from collections.abc import Callable
from typing import Final

import psutil

LOG_WAITING_AFTER_S: Final = 10.0
log = logging.getLogger("emostream")


class ReadinessLog:
    """Logs each change between ready and not ready, once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        # The state that was last logged; None before the first line.
        self._logged: bool | None = None
        self._was_ready = False

    def update(self, missing: str, metrics: str) -> None:
        """Log the state if it differs from the last logged one; `missing` is "" when ready."""
        now, ready = self._clock(), not missing
        self._began = now if self._began is None else self._began
        # Stages start in any order, so at first it is normal that the previous one is not up yet.
        early = now - self._began < LOG_WAITING_AFTER_S
        if ready == self._logged or (early and not ready and self._logged is None):
            return
        if ready and self._was_ready:
            log.info("ready again")
        elif ready:
            seconds = time.time() - psutil.Process().create_time()
            log.info("ready after %.1f s, metrics on %s", seconds, metrics)
        elif self._was_ready:
            log.warning("not ready: %s", missing)
        else:
            log.info("waiting: %s; metrics on %s", missing, metrics)
        self._logged = ready
        self._was_ready = self._was_ready or ready
