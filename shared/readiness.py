"""What a process says in its log of whether it is ready."""

import logging
import time
from collections.abc import Callable
from typing import Final

import psutil

SAY_WAITING_AFTER: Final = 10.0
log = logging.getLogger("emostream")


class ReadinessLog:
    """Logs each change between ready and not ready, once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        # Whether it was ready when that was last said; None before anything was.
        self._said: bool | None = None
        self._was_ready = False

    def tell(self, lacking: str, metrics: str) -> None:
        """Log the state where it is another than was last said; `lacking` is "" when ready."""
        now, ready = self._clock(), not lacking
        self._began = now if self._began is None else self._began
        # Stages start in any order: that the one before is not there yet is no news at first.
        early = now - self._began < SAY_WAITING_AFTER
        if ready == self._said or (early and not ready and self._said is None):
            return
        if ready and self._was_ready:
            log.info("ready again")
        elif ready:
            seconds = time.time() - psutil.Process().create_time()
            log.info("ready after %.1f s, metrics on %s", seconds, metrics)
        elif self._was_ready:
            log.warning("not ready: %s", lacking)
        else:
            log.info("waiting: %s; metrics on %s", lacking, metrics)
        self._said = ready
        self._was_ready = self._was_ready or ready
