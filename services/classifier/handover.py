"""Decides which classifier answers: the active one, or a standby while that is silent."""

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

# A standby continues for this long after the active classifier answers again: a subscriber that
# lost its connection retries within a second, an encrypted one slightly later.
HAND_BACK_AFTER_S: Final = 3.0
# Two classifiers that start together must not both take the faces.
FIRST_PATIENCE: Final = 3.0
# Fewer than a live inbox holds while it catches up.
MOST_HELD: Final = PAUSED_BACKLOG - 10
BACKLOG: Final = "backlog"
NS: Final = 1_000_000_000


class Observer(Protocol):
    """Reports each frame's fate, and which classifier answers; called on any thread."""

    def followed(self, message: Message, fate: str) -> None:
        """Report that this process does not answer the message: the peer did, or nobody will."""

    def answers(self, stream: str, part: int, *, on: bool) -> None:
        """Report that this standby now answers the part, or no longer does."""


class _Held(NamedTuple):
    """A message that has waited for the peer's answer since `arrived` (s)."""

    message: Message
    arrived: float


class Beginning(NamedTuple):
    """How to start on messages: the peer's answers to continue from, and the messages left."""

    states: list[Emotion]
    left: list[Message]


@dataclass(slots=True)
class _Part:
    """One part of a stream: which classifier answers it, and the peer's answers.

    `heard` is the peer's newest answer, which arrived at `heard_at`; the peer has answered without
    a pause `since`. `given` is the last frame's message that was passed on here, or the peer's
    answer from which this classifier continued. If many messages before it never arrived,
    `missed_t` is the capture time of the first one after them. `adopted` is the peer's answer from
    which this classifier continued; `is_followed` is whether the peer has answered a message that
    was held here.
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
    """A live inbox that passes on faces only while this classifier should answer them.

    Otherwise, it holds each message until the peer's answer to it arrives. If faces arrive and the
    active classifier is silent for `takeover_after` s, a standby passes on the held messages and
    all later ones. It hands back when the active classifier has answered again for long enough that
    every subscriber receives it. An active classifier continues from where a standby is, or starts
    on its own if it hears no standby for as long. Messages that were taken may wait before the
    stage processes them, so `begin` then says which of them are left to answer, and from which of
    the peer's answers (with its state) the stage must continue. Times are s on the steady `clock`.
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
        """Drop nothing during the block and for 2 s after it."""
        return self._live.pause_dropping()

    def put(self, message: Message, age: float = 0.0) -> None:
        """Add faces, a probe or an end. The receiving thread calls this."""
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
                # The classifier that answers the part passes on its probes.
                self._hold(part, message, now)
            self._decide(part, (header.stream, header.part), now)

    def hear(self, header: AnyHeader) -> None:
        """Take the peer's answer to a message. The receiving thread calls this."""
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
                # This process was stopped or disconnected, and a standby has taken over.
                self._adopt(part, key, header)
            self._decide(part, key, now)

    def take(self, limit: int, timeout: float, linger: float = 0.0) -> list[Message]:
        """Return the messages to answer, like a live inbox."""
        with self._lock:
            now = self._clock()
            for key, part in self._parts.items():
                self._decide(part, key, now)
        taken = self._live.take(limit, timeout, linger)
        self.is_behind = self._live.is_behind
        return taken

    def begin(self, messages: list[Message]) -> Beginning:
        """Return how to start on messages that were taken; each state is returned once."""
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
        """Whether the peer has answered the message instead of this classifier.

        This is the case if the stage has continued (or is about to) from that answer or a later
        one, and if a standby has handed back. While a standby answers, both classifiers answer.
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
        """Whether the active classifier has answered for long enough and still answers."""
        answers_now = now - part.heard_at <= self._takeover_after
        return answers_now and now - part.since >= HAND_BACK_AFTER_S

    def _is_wanted(self, part: _Part, now: float) -> bool:
        """Whether to answer the held messages and all later ones now."""
        # A standby that has just taken over first answers its backlog. Its state is the newest only
        # once it has reached the messages held here.
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
        # These messages were held on purpose, so none is too old.
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
    """Whether the peer has answered more than was passed on here, even if the clock was set."""
    heard, given = part.heard, part.given
    return heard is not None and (given is None or not is_answered(heard, given))


def is_answered(header: AnyHeader, answer: AnyHeader) -> bool:
    """Whether the answer belongs to the message or a later one.

    A restarted capture may count from 0 in the same run.
    """
    if header.run == answer.run:
        return header.seq <= answer.seq and header.t <= answer.t
    return header.t < answer.t
