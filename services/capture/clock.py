"""The clock of a source's thread, whose waits can be interrupted from outside."""

import threading
import time
from typing import Final, Protocol

OPEN_TIMEOUT: Final = 10.0  # seconds for opening a source


class Clock(Protocol):
    """The clock interface of a source's thread."""

    def now(self) -> float:
        """Seconds that never run backwards."""

    def wait(self, seconds: float) -> bool:
        """Wait, and return early and True after `stop`."""

    def stop(self) -> None:
        """End all waiting, now and later."""


class SystemClock:
    """The machine's monotonic clock."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def now(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Wait, and return early and True after `stop`."""
        return self._stop.wait(max(0.0, seconds))

    def stop(self) -> None:
        """End all waiting, now and later."""
        self._stop.set()
