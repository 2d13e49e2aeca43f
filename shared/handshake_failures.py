"""Counts encrypted connections that failed, and logs one line per minute about them."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from emostream.shared.plural import counted

LOG_EVERY_S: Final = 60.0
# Who failed, as each side has to look for it.
BY_SIDE: Final = {
    False: "failed (a missing, unknown or revoked key, or no encryption); "
    "emostream keys list shows the allowed peers",
    True: "failed: this host's key is not let in there, that host has another key than this one "
    "expects, or it does not encrypt; compare emostream keys show on each host with emostream "
    "keys list on the other",
}
log = logging.getLogger("emostream")


def _no_metric(_: str, __: int) -> None:
    """Count nowhere else: of a command without metrics."""


class HandshakeFailures:
    """Counts by socket's endpoint, from any thread. `metric` is told how many more."""

    def __init__(self, metric: Callable[[str, int], None] = _no_metric) -> None:
        self._metric = metric
        self._lock = threading.Lock()
        self._unlogged: Counter[tuple[str, bool]] = Counter()
        self._logged_at = float("-inf")

    def expect(self, endpoint: str) -> None:
        """Begin at 0: of a count that begins at 1, Prometheus sees no increase."""
        self._metric(endpoint, 0)

    def count(self, endpoint: str, now: float, *, connects: bool = False) -> None:
        """Count a failure; log all since the last line where that is a minute ago (`now` in s).

        `connects`: this process is the one that connects to the endpoint, and has not bound it.
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
