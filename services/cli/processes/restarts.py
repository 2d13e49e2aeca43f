"""The restart policy for stages that exit unexpectedly, as one table."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

from emostream.shared.errors import ExitCode

RESTARTS: Final = 5
WITHIN_S: Final = 60.0
# Waits between retries double from the first to the longest.
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0


class End(Enum):
    """How a stage exits unexpectedly, as in docs/operations.md."""

    SIGNAL = "a signal: SIGTERM, SIGKILL (out of memory, or it hung), SIGSEGV, or any other"
    OK = "exit code `0`"
    FAILURE = "exit code `1`, and every code that is not listed"
    USAGE = "exit code `2`"
    UNAVAILABLE = "exit code `3`"
    STOPPED = "exit code `4`"
    NOT_STARTED = "it cannot be started: no memory or no free process"
    TOO_OFTEN = "any of these, after five restarts in 60 s"


class Action(Enum):
    """The reaction to an exit."""

    NOW = "restart now"
    RETRY = "retry with increasing delays"
    FINAL = "final"


@dataclass(frozen=True)
class Rule:
    """The reactions to a stage's exit, in a pipeline and in `emostream analyze`."""

    pipeline: Action
    analysis: Action


RULES: Final = {
    End.SIGNAL: Rule(pipeline=Action.NOW, analysis=Action.NOW),
    End.OK: Rule(pipeline=Action.NOW, analysis=Action.NOW),
    End.FAILURE: Rule(pipeline=Action.NOW, analysis=Action.NOW),
    End.USAGE: Rule(pipeline=Action.FINAL, analysis=Action.FINAL),
    End.UNAVAILABLE: Rule(pipeline=Action.RETRY, analysis=Action.FINAL),
    End.STOPPED: Rule(pipeline=Action.FINAL, analysis=Action.FINAL),
    End.NOT_STARTED: Rule(pipeline=Action.RETRY, analysis=Action.FINAL),
    End.TOO_OFTEN: Rule(pipeline=Action.RETRY, analysis=Action.FINAL),
}
_BY_CODE: Final[dict[int, End]] = {
    ExitCode.OK: End.OK,
    ExitCode.USAGE: End.USAGE,
    ExitCode.UNAVAILABLE: End.UNAVAILABLE,
    ExitCode.STOPPED: End.STOPPED,
}
Kind: TypeAlias = Literal["pipeline", "analysis"]


def end_of(code: int) -> End:
    """Return how a process exited, from its exit code; negative codes are signals."""
    return End.SIGNAL if code < 0 else _BY_CODE.get(code, End.FAILURE)


@dataclass(frozen=True)
class Restart:
    """When to restart a stage: in `wait` s. It is down if it exited too often."""

    wait: float
    is_down: bool


class RestartPolicy:
    """Decides the reaction to each exit of one stage, by `RULES`.

    A stage that exits again after `RESTARTS` restarts in `WITHIN_S` seconds is down, until it has
    run for that long.
    """

    def __init__(self, kind: Kind, clock: Callable[[], float] = time.monotonic) -> None:
        self._kind = kind
        self._clock = clock
        self._started = clock()
        self._restarts: deque[float] = deque(maxlen=RESTARTS)
        self._wait = 0.0
        self._is_down = False

    def started(self) -> None:
        """Record a start of the stage."""
        self._started = self._clock()

    def recovers(self) -> bool:
        """Whether a stage that was down has now run long enough; returns True once."""
        if not self._ran_long:
            return False
        was_down, self._is_down, self._wait = self._is_down, False, 0.0
        return was_down

    def after(self, end: End) -> Restart | None:
        """Return when to restart it after this exit; None if the exit is final."""
        self.recovers()
        now, action = self._clock(), self._action(end)
        if action is Action.FINAL:
            return None
        if len(self._restarts) == RESTARTS and now - self._restarts[0] < WITHIN_S:
            action, self._is_down = self._action(End.TOO_OFTEN), True
            if action is Action.FINAL:
                return None
        self._restarts.append(now)
        if action is Action.NOW and not self._is_down:
            return Restart(0.0, is_down=False)
        self._wait = min(2 * self._wait or FIRST_WAIT_S, LONGEST_WAIT_S)
        return Restart(self._wait, self._is_down)

    @property
    def _ran_long(self) -> bool:
        return self._clock() - self._started >= WITHIN_S

    def _action(self, end: End) -> Action:
        rule = RULES[end]
        return rule.pipeline if self._kind == "pipeline" else rule.analysis
