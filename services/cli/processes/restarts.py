"""The rule for starting a process again that ended."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from emostream.shared.errors import ExitCode

RESTARTS: Final = 5
WITHIN: Final = 60.0
# A restart does not help after these.
FINAL: Final = (ExitCode.USAGE, ExitCode.UNAVAILABLE, ExitCode.STOPPED)


class RestartLimit:
    """Allows `RESTARTS` restarts in any `WITHIN` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._restarts: deque[float] = deque(maxlen=RESTARTS)

    def allows(self, code: int) -> bool:
        """Whether a process that ended with `code` may start again now; if so, it is counted."""
        now = self._clock()
        if code in FINAL:
            return False
        if len(self._restarts) == RESTARTS and now - self._restarts[0] < WITHIN:
            return False
        self._restarts.append(now)
        return True
