"""Which of two classifiers answers a face: the active one, or a standby while that is silent."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from emostream.shared.account import ANSWERED
from emostream.shared.inbox import PAUSED_BACKLOG, LiveInbox
from emostream.shared.messages import AnyHeader, Emotion, Faces, Message

# A standby continues for so long after the active one answers again: a subscriber that lost its
# connection retries within a second, and an encrypted one a little later.
HAND_BACK_AFTER_S: Final = 3.0
# Two that are started together must not both take the faces for theirs.
FIRST_PATIENCE: Final = 3.0
# Fewer than a live inbox holds at once while it catches up.
MOST_HELD: Final = PAUSED_BACKLOG - 10
BACKLOG: Final = "backlog"
NS: Final = 1_000_000_000


class Observer(Protocol):
    """What is told of each frame's fate, and of who answers; called on any thread."""

    def followed(self, message: Message, fate: str) -> None:
        """Note that this process does not answer the message: the peer did, or nobody will."""

    def answers(self, stream: str, part: int, *, on: bool) -> None:
        """Note that this standby answers the part from now on, or no longer."""


class _Held(NamedTuple):
    """A message that waits for the peer's answer, since `arrived` s."""

    message: Message
    arrived: float


class Beginning(NamedTuple):
    """With what work on messages begins: the peer's answers to continue from, and what is left."""

    states: list[Emotion]
    left: list[Message]


@dataclass(slots=True)
class _Part:
    """One part of a stream: who answers it, and what is known of the peer's answers.

    `heard` is the peer's newest one, which came at `heard_at`; it has answered without a pause
    `since`. `given` is the last frame's message that was passed on here, or the peer's answer from
    which it continued; where many before that never came, `missed_t` is the capture time of the
    first one after them. `adopted` is the answer of the peer from which this classifier has
    continued, `is_followed` whether the peer has answered a message that was held here.
    """

    is_answering: bool = False
    held: deque[_Held] = field(default_factory=deque)
    heard: Emotion | None = None
    heard_at: float = float("-inf")
    since: float = float("-inf")
    given: AnyHeader | None = None
    missed_t: int | None = None
    adopted: Emotion | None = None
    is_followed: bool = False


class HandoverInbox:
    """A live inbox that passes faces on only while this classifier is the one to answer them.

    Until then it holds each message until the peer's answer to it is heard. A standby passes on
    what it holds once the active classifier has been silent for `takeover_after` s while faces
    came, and all that comes after; it hands back when the active one has answered again for long
    enough that every subscriber hears it. An active one begins where a standby has come to, or by
    itself where none is heard for as long. What was taken may wait before the stage works on it, so
    `begin` says then what of it is left to answer, and after which of the peer's answers, with its
    state, the stage has to continue. Times are s on the steady `clock`.
    """

    def __init__(
        self,
        live: LiveInbox,
        observer: Observer,
        takeover_after: float,
        *,
        is_standby: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._live = live
        self._observer = observer
        self._takeover_after = takeover_after
        self._is_standby = is_standby
        self._clock = clock
        self._parts: dict[tuple[str, int], _Part] = {}
        self._states: dict[tuple[str, int], Emotion] = {}
        self._lock = threading.Lock()
        self.is_behind = False

    def __len__(self) -> int:
        return len(self._live)

    def longest_wait(self) -> float:
        """Return for how many s the oldest message for this classifier waits."""
        return self._live.longest_wait()

    def pause_dropping(self) -> contextlib.AbstractContextManager[None]:
        """Drop nothing meanwhile, nor in the 2 s after."""
        return self._live.pause_dropping()

    def put(self, message: Message, age: float = 0.0) -> None:
        """Add faces, a probe or an end; called by the thread that receives them."""
        header = message.header
        assert isinstance(header, Faces)
        with self._lock:
            now = self._clock()
            part = self._parts.setdefault((header.stream, header.part), _Part())
            if part.is_answering:
                if part.given and part.given.t < header.t - self._takeover_after * NS:
                    part.missed_t = header.t
                if header.is_data:
                    part.given = header
                self._live.put(message, age)
            elif not header.probe:
                # Who answers the part passes its probes on.
                self._hold(part, message, now)
            self._decide(part, (header.stream, header.part), now)

    def hear(self, header: AnyHeader) -> None:
        """Take the peer's answer to a message; called by the thread that receives these."""
        if not isinstance(header, Emotion) or header.probe or header.standby == self._is_standby:
            return
        key = header.stream, header.part
        with self._lock:
            now = self._clock()
            part = self._parts.setdefault(key, _Part())
            if now - part.heard_at > self._takeover_after:
                part.since = now
            part.heard, part.heard_at = header, now
            while part.held and is_answered(part.held[0].message.header, header):
                message = part.held.popleft().message
                is_it = message.header.run == header.run and message.header.seq == header.seq
                self._observer.followed(message, ANSWERED if is_it else BACKLOG)
                part.is_followed = True
            if part.missed_t is not None and part.missed_t <= header.t and not self._is_standby:
                # This process stood still or was cut off, and a standby has continued meanwhile.
                self._adopt(part, key, header)
            self._decide(part, key, now)

    def take(self, limit: int, timeout: float, linger: float = 0.0) -> list[Message]:
        """Return what is to be answered, as a live inbox does."""
        with self._lock:
            now = self._clock()
            for key, part in self._parts.items():
                self._decide(part, key, now)
        taken = self._live.take(limit, timeout, linger)
        self.is_behind = self._live.is_behind
        return taken

    def begin(self, messages: list[Message]) -> Beginning:
        """Return with what to begin on messages that were taken; each of the states comes once."""
        with self._lock:
            states, self._states = self._states, {}
            left = [message for message in messages if not self._is_covered(message.header)]
        return Beginning(list(states.values()), left)

    def forget(self, stream: str) -> None:
        """Forget the stream."""
        with self._lock:
            for key in [key for key in self._parts if key[0] == stream]:
                del self._parts[key]
                self._states.pop(key, None)

    def _is_covered(self, header: AnyHeader) -> bool:
        """Whether the peer has answered the message in the place of this classifier.

        That is where the stage has continued, or is about to, from that answer or a later one, and
        where a standby has handed back. While a standby answers, each of the two does.
        """
        assert isinstance(header, Faces)
        part = self._parts.get((header.stream, header.part))
        if part is None or header.probe:
            return False
        answer = part.adopted if part.is_answering else part.heard
        return answer is not None and is_answered(header, answer)

    def _hold(self, part: _Part, message: Message, now: float) -> None:
        if part.heard and is_answered(message.header, part.heard):
            self._observer.followed(message, ANSWERED)
            return
        part.held.append(_Held(message, now))
        if len(part.held) > MOST_HELD:
            self._observer.followed(part.held.popleft().message, BACKLOG)

    def _decide(self, part: _Part, key: tuple[str, int], now: float) -> None:
        if part.is_answering:
            if self._is_standby and self._is_back(part, now):
                part.is_answering = False
                self._observer.answers(*key, on=False)
        elif self._is_wanted(part, now):
            self._begin(part, key)

    def _is_back(self, part: _Part, now: float) -> bool:
        """Whether the active classifier has answered for long enough, and still does."""
        answers_now = now - part.heard_at <= self._takeover_after
        return answers_now and now - part.since >= HAND_BACK_AFTER_S

    def _is_wanted(self, part: _Part, now: float) -> bool:
        """Whether to answer now what is held, and all that comes."""
        # A standby that has just taken over answers what waited: only once that has come to what
        # is held here is its state the newest.
        if not self._is_standby and part.is_followed and _has_gone_on(part):
            return True
        if not part.held:
            return False
        patience = self._takeover_after
        if self._is_standby and part.heard is None:
            patience *= FIRST_PATIENCE
        return now - max(part.held[0].arrived, part.heard_at) >= patience

    def _begin(self, part: _Part, key: tuple[str, int]) -> None:
        if part.heard and _has_gone_on(part):
            self._adopt(part, key, part.heard)
        part.is_answering = True
        if self._is_standby:
            self._observer.answers(*key, on=True)
        # All of it was waited for, so none of it is too old.
        with self._live.pause_dropping():
            for held in _drained(part.held):
                if held.message.header.is_data:
                    part.given = held.message.header
                self._live.put(held.message)

    def _adopt(self, part: _Part, key: tuple[str, int], answer: Emotion) -> None:
        self._states[key] = part.adopted = answer
        part.missed_t = None
        if part.given is None or not is_answered(answer, part.given):
            part.given = answer


def _drained(held: deque[_Held]) -> Iterator[_Held]:
    while held:
        yield held.popleft()


def _has_gone_on(part: _Part) -> bool:
    """Whether the peer has answered more than was passed on here, whatever the clock did."""
    heard, given = part.heard, part.given
    return heard is not None and (given is None or not is_answered(heard, given))


def is_answered(header: AnyHeader, answer: AnyHeader) -> bool:
    """Whether the answer is one to the message or to a later one.

    A capture that is restarted may count from 0 in the same run.
    """
    if header.run == answer.run:
        return header.seq <= answer.seq and header.t <= answer.t
    return header.t < answer.t
