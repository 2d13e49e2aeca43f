"""An actor of the pool: its methods, and the state of its process."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from emostream.models.classifier import Probabilities
from emostream.models.ray_pool.served import Opened, ServedModel
from emostream.shared.errors import EmostreamError

# A batch is given to another actor after this; or after four times what it should take, if that is
# longer, up to 1.2 s, so that two actors that are dead and the answer here take less than 3 s; or
# after 1.5 times what it should take. Ray itself needs 2 s to say that a process was killed.
PATIENCE_S: Final = 0.5
PATIENCE_TIMES: Final = 4
LONG_PATIENCE_S: Final = 1.2
LEAST_TIMES: Final = 1.5
# An actor that leaves a batch unanswered for so long is replaced.
STUCK_S: Final = 10.0
# One that Ray does not bring back within so long gives way to a new one.
LOST_S: Final = 30.0
# How often an actor is asked whether it has the model, if it can answer and if not, and how many
# of these questions may be open.
ASK_S: Final = 2.0
ASK_AGAIN_S: Final = 0.5
MOST_ASKED: Final = 3


class ActorLostError(EmostreamError):
    """The actor's process is gone, or cannot be reached."""


class Actor(Protocol):
    """Runs a `ModelActor`; its futures fail with the errors of that class, or ActorLostError."""

    def open(self, served: ServedModel) -> "Future[Opened]":
        """Open the model, unless it is open."""
        ...

    def predict(self, number: int, faces: NDArray[np.uint8]) -> "Future[Probabilities]":
        """Return the probabilities float32 (N, C) of uint8 faces (N, h, w)."""
        ...

    def restart(self) -> None:
        """Kill its process; another one takes its place."""

    def end(self) -> None:
        """Kill its process for good."""


class Observer(Protocol):
    """Is notified of events in the pool, on any thread."""

    def restarted(self) -> None:
        """Note that the process of an actor was lost; Ray starts another one."""

    def replaced(self) -> None:
        """Note that a batch was given to another actor."""

    def answered_here(self) -> None:
        """Note that no actor could answer a batch, so that the model runs in this process."""


@dataclass(eq=False)
class Member:
    """An actor, with the models and the unanswered batches of its current process.

    `life` counts its processes; answers from an earlier one are ignored. `overdue` are the batches
    that took too long, each with the time when that was noticed; `patience` is the limit in s.
    """

    actor: Actor
    life: int = 0
    process: str = ""
    models: set[int] = field(default_factory=set)
    sent: int = 0
    overdue: "dict[Future[Any], float]" = field(default_factory=dict)
    patience: float = PATIENCE_S
    asked: int = 0
    ask_at: float = float("-inf")
    lost_at: float | None = None

    def answers(self, number: int) -> bool:
        """Whether it has the model and keeps up, so that it can get a batch."""
        return number in self.models and not self.overdue

    def is_stuck(self, now: float) -> bool:
        """Whether its process has to be killed."""
        return any(now - since >= STUCK_S for since in self.overdue.values())

    def is_gone(self, now: float) -> bool:
        """Whether Ray has failed to bring it back."""
        return self.lost_at is not None and now - self.lost_at >= LOST_S

    def begin_life(self) -> None:
        """Forget the state of the process, which is gone."""
        self.life += 1
        self.process = ""
        self.models.clear()
        self.overdue.clear()
        self.sent = 0
        self.ask_at = float("-inf")

    def has_opened(self, number: int, opened: Opened, in_flight: int) -> None:
        """Note that its process has the model; it gets at most `in_flight` batches at a time."""
        self.process = opened.process
        self.lost_at = None
        self.models.add(number)
        expected = opened.seconds * in_flight
        usual = min(PATIENCE_TIMES * expected, LONG_PATIENCE_S)
        self.patience = max(PATIENCE_S, usual, LEAST_TIMES * expected)
