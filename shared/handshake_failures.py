"""Counts encrypted connections that failed, and logs one line per minute about them."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from emostream.shared.plural import counted

LOG_EVERY_S: Final = 60.0
# The likely causes, from each side's point of view.
BY_SIDE: Final = {
    False: "failed (a missing, unknown or revoked key, or no encryption); "
    "emostream keys list shows the allowed peers",
    True: "failed: this host's key is not let in there, that host has another key than this one "
    "expects, or it does not encrypt; compare emostream keys show on each host with emostream "
    "keys list on the other",
}
log = logging.getLogger("emostream")


def _no_metric(_: str, __: int) -> None:
    """A metric that does nothing, for commands without metrics."""


class HandshakeFailures:
    """Counts failures by endpoint, thread-safe. `metric` is called with each increase."""

    def __init__(self, metric: Callable[[str, int], None] = _no_metric) -> None:
        self._metric = metric
        self._lock = threading.Lock()
        self._unlogged: Counter[tuple[str, bool]] = Counter()
        self._logged_at = float("-inf")

    def expect(self, endpoint: str) -> None:
        """Start the count at 0: Prometheus sees no increase in a counter that starts at 1."""
        self._metric(endpoint, 0)

    def count(self, endpoint: str, now: float, *, connects: bool = False) -> None:
        """Count a failure; at most once per minute, log all since the last line (`now` in s).

        `connects` is True if this process connected to the endpoint, False if it bound it.
        """
        self._metric(endpoint, 1)
        with self._lock:
            self._unlogged[endpoint, connects] += 1
            if now - self._logged_at < LOG_EVERY_S:
                return
            self._logged_at = now
            found, self._unlogged = self._unlogged, Counter()
        for (each, is_client), number in found.items():
            failed = counted(number, "encrypted connection")
            log.warning("%s: %s %s", each, failed, BY_SIDE[is_client])
