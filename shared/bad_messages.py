"""Counts refused messages and logs some of them."""

import logging
import time
from collections.abc import Callable
from typing import Final

from emostream.shared.errors import MessageError
from emostream.shared.metrics import StageMetrics

LOG_INTERVAL_S: Final = 60.0
log = logging.getLogger("emostream")


class BadMessages:
    """Counts refused messages by reason, and logs at most one per minute.

    Call it with the error, on any thread. Times are seconds on the steady `clock`.
    """

    def __init__(self, metrics: StageMetrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._logged = float("-inf")

    def __call__(self, error: MessageError) -> None:
        """Count the message, and log it if none was logged within the last minute."""
        self._metrics.bad(error.reason)
        now = self._clock()
        if now - self._logged >= LOG_INTERVAL_S:
            self._logged = now
            log.warning("ignored a message that violates the wire format: %s", error)
