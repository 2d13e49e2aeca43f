"""A pool of actors with the same model: it distributes batches, and replaces lost actors."""

import functools
import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emostream.models.classifier import Probabilities
from emostream.models.ray_pool.member import (
    ASK_AGAIN_S,
    ASK_S,
    MOST_ASKED,
    Actor,
    ActorLostError,
    Member,
    Observer,
)
from emostream.models.ray_pool.scaling import Scaling
from emostream.models.ray_pool.served import ModelNotOpenError, Opened, ServedModel
from emostream.shared.errors import WeightsError

# How many actors get a batch, before the model runs here.
ATTEMPTS: Final = 2
log = logging.getLogger("emostream")


class ActorPool:
    """Gives each batch to the actor with the fewest, at most `in_flight` at a time each.

    An actor that dies, or does not answer in the time of a batch, gets no batches until it has the
    model again; its batch goes to another actor. `start` returns a new actor, `scaling` chooses
    their number. Call `tend` often, on one thread; `predict` is thread-safe.
    """

    def __init__(
        self,
        start: Callable[[], Actor],
        scaling: Scaling,
        observer: Observer,
        in_flight: int = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start, self._scaling, self._observer = start, scaling, observer
        self._in_flight = in_flight
        self._clock = clock
        self._members: list[Member] = []
        self._retiring: list[Member] = []
        self._served: ServedModel | None = None
        self._refused: dict[int, str] = {}
        self._batches = self._busiest = 0
        self._is_closed = False
        # Futures call back at once where they are done: the lock is reentrant.
        self._changed = threading.Condition(threading.RLock())

    @property
    def warm(self) -> int:
        """The number of actors that can get a batch."""
        with self._changed:
            return len(self._answering(self._served.number)) if self._served else 0

    @property
    def starting(self) -> int:
        """The number of other actors: they are starting, wait for resources, or do not answer."""
        with self._changed:
            return len(self._members) - self.warm

    @property
    def places(self) -> int:
        """The allowed number of simultaneous batches; 1 if the model has to run here."""
        return max(1, self._in_flight * self.warm)

    def serve(self, served: ServedModel, within: float = 0.0) -> None:
        """Let the actors open a model; they keep the previous one until the next call.

        With `within`, waits up to that many seconds for the first actor, and raises WeightsError if
        none can open it.
        """
        number = served.number
        with self._changed:
            members = list(self._members)
        for member in members:
            self._ask(member, served)
        with self._changed:
            self._changed.wait_for(
                lambda: self._answering(number) or number in self._refused, within
            )
            if within and not self._answering(number):
                reason = self._refused.get(number, f"none answered within {within:g} s")
                raise WeightsError(f"no Ray actor can open the model: {reason}")
            self._served = served

    def predict(self, number: int, faces: NDArray[np.uint8]) -> Probabilities | None:
        """Return float32 (N, C) for uint8 (N, h, w) by the model of that number.

        Returns None if no actor can answer. Raises ModelError if the model fails.
        """
        with self._changed:
            self._batches += 1
            self._busiest = max(self._busiest, self._batches)
        try:
            return self._predict(number, faces)
        finally:
            with self._changed:
                self._batches -= 1

    def tend(self, age: float) -> None:
        """Check, replace and scale the actors; the oldest waiting faces are `age` s old."""
        now = self._clock()
        with self._changed:
            for member in [each for each in self._members if each.is_gone(now)]:
                log.error("a Ray actor did not come back; another one is started")
                self._retire(member)
            due = [each for each in self._members if each.ask_at <= now]
            stuck = [each for each in self._members if each.is_stuck(now)]
            over = [each for each in self._retiring if not each.sent or each.is_stuck(now)]
            self._retiring = [each for each in self._retiring if each not in over]
            busiest, self._busiest = self._busiest, self._batches
            count, starting, served = len(self._members), self.starting, self._served
        for member in over:
            member.actor.end()
        for member in stuck:
            member.actor.restart()
            self._lose(member, member.life, "does not answer")
        if served:
            for member in due:
                self._ask(member, served)
            self._resize(self._scaling.wanted(count, starting, age, busiest), served)

    def close(self) -> None:
        """Stop logging lost actors: Ray ends them when this process leaves its cluster."""
        self._is_closed = True

    def _answering(self, number: int) -> list[Member]:
        return [each for each in self._members if each.answers(number)]

    def _predict(self, number: int, faces: NDArray[np.uint8]) -> Probabilities | None:
        tried: list[Member] = []
        while len(tried) < ATTEMPTS and (member := self._borrow(number, tried)):
            if tried:
                self._observer.replaced()
            life = member.life
            call = member.actor.predict(number, faces)
            call.add_done_callback(functools.partial(self._give_back, member, life))
            try:
                return call.result(member.patience)
            except TimeoutError:
                self._doubt(member, life, call)
            except ActorLostError:
                pass  # noted when it was given back
            except ModelNotOpenError:
                self._lose(member, life, "died")
            tried.append(member)
        self._observer.answered_here()
        return None

    def _borrow(self, number: int, tried: Collection[Member]) -> Member | None:
        """Return the actor with the fewest batches, when it has a place; None if there is none."""
        with self._changed:
            end = time.monotonic() + max((each.patience for each in self._members), default=0.0)
            while found := [each for each in self._answering(number) if each not in tried]:
                member = min(found, key=lambda each: each.sent)
                if member.sent < self._in_flight:
                    member.sent += 1
                    return member
                if not self._changed.wait(end - time.monotonic()):
                    break
            return None

    def _give_back(self, member: Member, life: int, call: "Future[Any]") -> None:
        with self._changed:
            if isinstance(call.exception(), ActorLostError):
                self._lose(member, life, "died")
            elif member.life == life:
                member.sent -= 1
                member.overdue.pop(call, None)
            self._changed.notify_all()

    def _doubt(self, member: Member, life: int, call: "Future[Any]") -> None:
        """Give the actor nothing more until it has answered the call, or is another process."""
        with self._changed:
            if member.life == life and not call.done():
                member.overdue[call] = self._clock()
                member.ask_at = float("-inf")
                self._changed.notify_all()

    def _lose(self, member: Member, life: int, why: str) -> None:
        """Note that the actor's process of that life is gone."""
        with self._changed:
            if member.life != life:
                return
            if member.process and not self._is_closed:
                log.warning("Ray actor %s %s; Ray starts another process", member.process, why)
                self._observer.restarted()
            member.begin_life()
            self._changed.notify_all()

    def _ask(self, member: Member, served: ServedModel) -> None:
        """Let the actor open the model; if it has, it answers at once, and says who it is."""
        with self._changed:
            wait = ASK_S if member.answers(served.number) else ASK_AGAIN_S
            member.ask_at = self._clock() + wait
            if member.asked >= MOST_ASKED:
                return
            member.asked += 1
            life = member.life
        call = member.actor.open(served)
        call.add_done_callback(functools.partial(self._told, member, life, served.number))

    def _told(self, member: Member, life: int, number: int, call: "Future[Opened]") -> None:
        error = call.exception()
        with self._changed:
            member.asked -= 1
            if isinstance(error, ActorLostError):
                member.lost_at = member.lost_at or self._clock()
                self._lose(member, life, "died")
                member.ask_at = self._clock() + ASK_AGAIN_S
            elif error:
                if self._refused.get(number) != str(error) and not self._is_closed:
                    log.error("a Ray actor cannot open the model: %s", error)
                self._refused[number] = str(error)
            else:
                self._note(member, number, call.result())
            self._changed.notify_all()

    def _note(self, member: Member, number: int, opened: Opened) -> None:
        if opened.process != member.process:
            # What was asked of an earlier process may still fail, and must not count any more.
            self._lose(member, member.life, "died")
            log.info("Ray actor %s is warm, on the %s", opened.process, opened.device)
        member.has_opened(number, opened, self._in_flight)

    def _resize(self, wanted: int, served: ServedModel) -> None:
        while len(self._members) < wanted:
            member = Member(self._start())
            with self._changed:
                self._members.append(member)
            self._ask(member, served)
        with self._changed:
            while len(self._members) > wanted:
                # One that cannot answer is the least loss.
                self._retire(min(self._members, key=lambda each: (bool(each.models), each.sent)))

    def _retire(self, member: Member) -> None:
        self._members.remove(member)
        self._retiring.append(member)
