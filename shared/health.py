"""Whether a process is live and ready, judged by its data flow."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

BEAT_WITHIN: Final = 10.0
HUNG_AFTER: Final = 30.0

Phase: TypeAlias = Literal["starting", "running", "down"]


@dataclass(slots=True)
class _Unanswered:
    """The arrival of a stream's first and last frame since its last progress, in s."""

    since: float
    last: float


class Health:
    """The conditions that a stage must meet to be ready, each with a reason while it is not met.

    After `silent_after` seconds without input, or with frames of a stream but no progress on them,
    a stage is not ready. After `hung_after` seconds without a beat of its loop, it is not live.
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
        self._unanswered: dict[str, _Unanswered] = {}
        self._lock = threading.Lock()

    @property
    def phase(self) -> Phase:
        """Whether the stage is starting (loads a model, opens files), running, or down."""
        if self._down:
            return "down"
        return "starting" if self._beat is None else "running"

    @property
    def live(self) -> bool:
        """Whether the loop ran recently; a stage that is starting counts as live."""
        return not self._down and self._beats_within(self._hung_after)

    def liveness(self) -> dict[str, Any]:
        """Return the answer of `/livez`; `pid` tells a supervisor which process answered."""
        return {"live": self.live, "phase": self.phase, "pid": os.getpid()}

    def beat(self) -> None:
        """Record an iteration of the loop."""
        self._beat = self._clock()

    def set_down(self, reason: str) -> None:
        """Mark the stage as down, with the reason; its supervisor answers for it."""
        self._down = reason

    def require_input(self) -> None:
        """Make readiness depend on input."""
        self._needs_input = True

    def mark_input(self) -> None:
        """Record that input arrived."""
        self._input = self._clock()

    def mark_arrival(self, stream: str) -> None:
        """Record that a frame of the stream, or its results, arrived."""
        now = self._clock()
        with self._lock:
            self._unanswered.setdefault(stream, _Unanswered(now, now)).last = now

    def mark_progress(self, stream: str) -> None:
        """Record that the stage finished a frame of the stream, or no longer needs to."""
        with self._lock:
            self._unanswered.pop(stream, None)

    def set_missing(self, name: str, reason: str) -> None:
        """Mark the condition `name` as not met, with the reason."""
        with self._lock:
            self._missing[name] = reason

    def clear_missing(self, name: str) -> None:
        """Mark the condition `name` as met."""
        with self._lock:
            self._missing.pop(name, None)

    def missing(self) -> dict[str, str]:
        """Return the unmet conditions with their reasons; empty when ready."""
        if self._down:
            return {"process": f"down: {self._down}"}
        with self._lock:
            missing = self._missing | self._stuck()
        if self._beat is None:
            missing["loop"] = "it is starting"
        elif not self._beats_within(self._beat_within):
            missing["loop"] = f"the loop has not run for {self._beat_within:g} s"
        if self._needs_input:
            if self._input is None:
                missing["input"] = "no input yet"
            elif (silent := self._clock() - self._input) > self._silent_after:
                missing["input"] = f"no input for {silent:.0f} s"
        return missing

    def _beats_within(self, seconds: float) -> bool:
        return self._beat is None or self._clock() - self._beat < seconds

    def _stuck(self) -> dict[str, str]:
        """Return the streams with input but no progress. The caller holds the lock."""
        now = self._clock()
        return {
            f"stream {stream}": f"{stream}: frames arrive, but none has been processed for"
            f" {now - frames.since:.0f} s"
            for stream, frames in self._unanswered.items()
            if now - frames.since > self._silent_after >= now - frames.last
        }
