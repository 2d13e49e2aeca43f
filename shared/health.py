"""Whether a process is live and ready, judged by what flows through it."""

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
    """The frames of a stream that came since its last progress: the first and the last, in s."""

    since: float
    last: float


class Health:
    """The conditions that a stage must meet to be ready, each with the reason while it does not.

    `silent_after` is the seconds without input after which a stage that had input is not ready, as
    are those in which a stream's frames came and the stage made no progress with it. `hung_after`
    is those without a beat of its loop after which it is not live.
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

    def mark_arrival(self, stream: str) -> None:
        """Note that a frame of the stream came, or its results, whatever becomes of it."""
        now = self._clock()
        with self._lock:
            self._unanswered.setdefault(stream, _Unanswered(now, now)).last = now

    def mark_progress(self, stream: str) -> None:
        """Note that the stage has done its work on a frame of the stream, or need not any more."""
        with self._lock:
            self._unanswered.pop(stream, None)

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
        """Return the streams that send and make no progress; the lock is held."""
        now = self._clock()
        return {
            f"stream {stream}": f"{stream}: frames arrive, but none has been processed for"
            f" {now - frames.since:.0f} s"
            for stream, frames in self._unanswered.items()
            if now - frames.since > self._silent_after >= now - frames.last
        }
