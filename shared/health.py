"""Whether a process is live and ready, judged by what flows through it."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

BEAT_WITHIN: Final = 10.0
HUNG_AFTER: Final = 30.0

Phase: TypeAlias = Literal["starting", "running", "down"]


class Health:
    """The conditions that a stage must meet to be ready, each with the reason while it does not.

    `silent_after` is the seconds without input after which a stage that had input is not ready,
    `hung_after` those without a beat of its loop after which it is not live.
    """

    def __init__(
        self,
        silent_after: float,
        hung_after: float = HUNG_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._silent_after = silent_after
        self._hung_after = hung_after
        self._beat_within = min(BEAT_WITHIN, hung_after)
        self._clock = clock
        self._beat: float | None = None
        self._input: float | None = None
        self._needs_input = False
        self._down = ""
        self._missing: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def phase(self) -> Phase:
        """Whether it starts (loads a model, opens its files), has begun its work, or is down."""
        if self._down:
            return "down"
        return "starting" if self._beat is None else "running"

    @property
    def live(self) -> bool:
        """Whether the loop went round lately; a stage that still starts is alive."""
        return not self._down and self._beats_within(self._hung_after)

    def liveness(self) -> dict[str, Any]:
        """Return what `/livez` answers: with `pid` a supervisor knows whose answer it is."""
        return {"live": self.live, "phase": self.phase, "pid": os.getpid()}

    def beat(self) -> None:
        """Note that the loop goes round."""
        self._beat = self._clock()

    def set_down(self, reason: str) -> None:
        """Note that the process of the stage is gone, which another one answers for, and why."""
        self._down = reason

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
        if self._down:
            return {"process": f"down: {self._down}"}
        with self._lock:
            missing = dict(self._missing)
        if self._beat is None:
            missing["loop"] = "it starts"
        elif not self._beats_within(self._beat_within):
            missing["loop"] = f"the loop has not gone round for {self._beat_within:g} s"
        if self._needs_input:
            if self._input is None:
                missing["input"] = "no input yet"
            elif (silent := self._clock() - self._input) > self._silent_after:
                missing["input"] = f"no input for {silent:.0f} s"
        return missing

    def _beats_within(self, seconds: float) -> bool:
        return self._beat is None or self._clock() - self._beat < seconds
