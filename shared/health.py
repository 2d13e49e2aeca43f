"""Whether a process is live and ready, judged by what flows through it."""

import threading
import time
from collections.abc import Callable

BEAT_WITHIN = 10.0


class Health:
    """The conditions that a stage must meet to be ready, each with the reason while it does not.

    `silent_after` is the seconds without input after which a stage that had input is not ready.
    """

    def __init__(self, silent_after: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._silent_after = silent_after
        self._clock = clock
        self._beat: float | None = None
        self._input: float | None = None
        self._needs_input = False
        self._missing: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def live(self) -> bool:
        """Whether the loop went round lately; a stage that still starts is alive."""
        return self._beat is None or self._clock() - self._beat < BEAT_WITHIN

    def beat(self) -> None:
        """Note that the loop goes round."""
        self._beat = self._clock()

    def require_input(self) -> None:
        """Be ready only while input flows."""
        self._needs_input = True

    def mark_input(self) -> None:
        """Note that input came."""
        self._input = self._clock()

    def set_missing(self, name: str, reason: str) -> None:
        """Note that the condition `name` is not met, and why."""
        with self._lock:
            self._missing[name] = reason

    def clear_missing(self, name: str) -> None:
        """Note that the condition `name` is met."""
        with self._lock:
            self._missing.pop(name, None)

    def missing(self) -> dict[str, str]:
        """Return the conditions that are not met with their reasons; empty when ready."""
        with self._lock:
            missing = dict(self._missing)
        if self._beat is None:
            missing["loop"] = "it starts"
        elif not self.live:
            missing["loop"] = f"the loop has not gone round for {BEAT_WITHIN:g} s"
        if self._needs_input:
            if self._input is None:
                missing["input"] = "no input yet"
            elif (silent := self._clock() - self._input) > self._silent_after:
                missing["input"] = f"no input for {silent:.0f} s"
        return missing
