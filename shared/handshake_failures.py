"""The count of encrypted connections that did not come about, and a line a minute about them."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from emostream.shared.plural import counted

LOG_EVERY_S: Final = 60.0
log = logging.getLogger("emostream")


def _no_metric(_: str, __: int) -> None:
    """Count nowhere else: of a command without metrics."""


class HandshakeFailures:
    """Counts by socket's endpoint, from any thread. `metric` is told how many more."""

    def __init__(self, metric: Callable[[str, int], None] = _no_metric) -> None:
        self._metric = metric
        self._lock = threading.Lock()
        self._unlogged: Counter[str] = Counter()
        self._logged_at = float("-inf")

    def expect(self, endpoint: str) -> None:
        """Begin at 0: of a count that begins at 1, Prometheus sees no increase."""
        self._metric(endpoint, 0)

    def count(self, endpoint: str, now: float) -> None:
        """Count a failure; log all since the last line where that is a minute ago (`now` in s)."""
        self._metric(endpoint, 1)
        with self._lock:
            self._unlogged[endpoint] += 1
            if now - self._logged_at < LOG_EVERY_S:
                return
            self._logged_at = now
            found, self._unlogged = self._unlogged, Counter()
        for each, number in found.items():
            log.warning(
                "%s: %s failed (a key that is missing, unknown or revoked, "
                "or no encryption); emostream keys list shows who is let in",
                each,
                counted(number, "encrypted connection"),
            )
