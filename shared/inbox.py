"""The queue between the receiving thread and the stage, with back-pressure for live delivery.

Reading directly from a busy socket yields frames that are seconds old. Instead, a thread always
drains the socket, and the inbox keeps the newest frames of each topic, so that their age stays at
the duration of one step.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from emostream.shared.messages import Frame, Message

# A stream ends once per run; only this many newest ends are kept.
MAX_ENDS = 8
Dropped = Callable[[Message, str], None]
# How much is kept per topic while dropping is paused, and for how many seconds the pause continues
# afterward, while the stage catches up.
PAUSED_BACKLOG = 50
PAUSE_TAIL_S = 2.0
# A stage counts as behind before it has to drop frames: at these shares of the inbox's limits.
BEHIND_SHARE = 0.25
BEHIND_BACKLOG = 0.5


class Inbox(Protocol):
    """Messages that wait for the stage."""

    @property
    def is_behind(self) -> bool:
        """Whether messages wait here for so long that some will soon be dropped."""

    def put(self, message: Message, age: float = 0.0) -> None:
        """Add a message that waited `age` s in transit. The receiving thread calls this."""

    def take(self, limit: int, timeout: float, linger: float = 0.0) -> list[Message]:
        """Return up to `limit` messages, in order within each topic.

        Waits up to `timeout` seconds for the first one, and up to `linger` seconds for more.
        """

    def __len__(self) -> int:
        """Return the number of waiting messages."""


class FifoInbox:
    """Keeps every message, in order of arrival.

    Pictures are large, so at most `max_pictures` of them wait; `dropped` gets each new one beyond
    that.
    """

    def __init__(
        self, dropped: Dropped = lambda message, reason: None, max_pictures: int | None = None
    ) -> None:
        self._dropped = dropped
        self._max_pictures = max_pictures
        self._pictures = 0
        self.is_behind = False
        self._waiting: deque[Message] = deque()
        self._arrival = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message, age: float = 0.0) -> None:
        with self._arrival:
            if _is_picture(message):
                if self._pictures == self._max_pictures:
                    self._dropped(message, "backlog")
                    return
                self._pictures += 1
            self._waiting.append(message)
            self._arrival.notify()

    def take(self, limit: int, timeout: float, linger: float = 0.0) -> list[Message]:
        with self._arrival:
            self._arrival.wait_for(lambda: self._waiting, timeout)
            if self._waiting and linger:
                self._arrival.wait_for(lambda: len(self._waiting) >= limit, linger)
            taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            self._pictures -= sum(map(_is_picture, taken))
            return taken


def _is_picture(message: Message) -> bool:
    return isinstance(message.header, Frame) and message.header.is_data


class Counts(NamedTuple):
    """The messages put into an inbox since it was created, and those that it dropped."""

    put: int = 0
    dropped: int = 0


class _Waiting(NamedTuple):
    """A message, its arrival, and the start of its age; in s on the inbox's clock."""

    message: Message
    arrived: float
    since: float


class LiveInbox:
    """Keeps the newest messages of each topic, and drops the others if the stage cannot keep up.

    Up to `backlog` messages per topic that are younger than `max_age` seconds are handed out in
    order. If more wait, or they are older, only the newest is kept; `dropped` gets the others.
    Topics take turns, so that no stream starves another. Messages other than frames (ends) are
    kept, up to eight per topic.

    The age is the waiting time here and in transit, corrected for differences between the hosts'
    clocks (see `LinkPacer`). During `pause_dropping`, no message is too old, and many more may
    wait.

    `is_idle`: the stage waits for a message. `waited`: how long the last message taken waited here,
    in s. `is_short`: fewer messages are requested than are sent, so the stage is behind although
    nothing is dropped.
    """

    def __init__(
        self,
        dropped: Dropped,
        backlog: int = 3,
        max_age: float = 0.2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dropped = dropped
        self._backlog = backlog
        self._max_age = max_age
        self._clock = clock
        self._pauses = 0
        self._paused_until = float("-inf")
        self._topics: dict[str, deque[_Waiting]] = {}
        self._turns: deque[str] = deque()
        self._arrival = threading.Condition()
        self._has_dropped = False
        self._is_late = False
        self._length = 0
        self.counts = Counts()
        self.is_idle = False
        self.is_short = False
        self.waited = 0.0

    def __len__(self) -> int:
        # Without the lock, so that the stage does not wait for the receiving thread.
        return self._length

    @property
    def is_behind(self) -> bool:
        """Whether messages wait here for so long that some will soon be dropped, or already are."""
        return self._is_late or self.is_short

    def put(self, message: Message, age: float = 0.0) -> None:
        topic = message.topic
        with self._arrival:
            waiting = self._topics.setdefault(topic, deque())
            now = self._clock()
            waiting.append(_Waiting(message, now, now - age))
            self._length += 1
            if topic not in self._turns:
                self._turns.append(topic)
            frames = sum(each.message.header.is_data for each in waiting)
            if len(waiting) - frames > MAX_ENDS:
                waiting.remove(next(each for each in waiting if not each.message.header.is_data))
                self._length -= 1
            limit = PAUSED_BACKLOG if self._is_paused else self._backlog
            stale = self._thin(topic) if frames > limit else []
            self.counts = Counts(self.counts.put + 1, self.counts.dropped + len(stale))
            self._arrival.notify()
        for old in stale:
            self._dropped(old, "backlog")

    def take(self, limit: int, timeout: float, linger: float = 0.0) -> list[Message]:
        taken: list[Message] = []
        stale: list[Message] = []
        with self._arrival:
            self.is_idle = not self._turns
            self._arrival.wait_for(lambda: self._turns, timeout)
            self.is_idle = not self._turns
            if self._turns and linger:
                self._arrival.wait_for(lambda: len(self) >= limit, linger)
            while self._turns and len(taken) < limit:
                topic = self._turns.popleft()
                waiting = self._topics[topic]
                now = self._clock()
                self.waited = now - waiting[0].arrived
                late = self.waited > BEHIND_SHARE * self._max_age
                self._is_late = late or len(waiting) - 1 > BEHIND_BACKLOG * self._backlog
                if now - waiting[0].since > self._max_age and not self._is_paused:
                    stale += self._thin(topic)
                taken.append(waiting.popleft().message)
                self._length -= 1
                if waiting:
                    self._turns.append(topic)
                else:
                    # Do not remember ended streams forever.
                    del self._topics[topic]
            self.counts = Counts(self.counts.put, self.counts.dropped + len(stale))
        for old in stale:
            self._dropped(old, "stale")
        return taken

    def longest_wait(self) -> float:
        """Return for how many s the message that came first, of those that wait, has been here.

        Messages that were dropped since the last call, or that are not requested because the stage
        is behind, count as if they had waited for `max_age`.
        """
        with self._arrival:
            dropped, self._has_dropped = self._has_dropped or self.is_short, False
            now = self._clock()
            ages = [now - waiting[0].arrived for waiting in self._topics.values()]
            return max([*ages, self._max_age if dropped else 0.0])

    @contextlib.contextmanager
    def pause_dropping(self) -> Iterator[None]:
        """Drop nothing during the block and for 2 s after it, for a short expected delay."""
        with self._arrival:
            self._pauses += 1
        try:
            yield
        finally:
            with self._arrival:
                self._pauses -= 1
                self._paused_until = self._clock() + PAUSE_TAIL_S

    @property
    def _is_paused(self) -> bool:
        return self._pauses > 0 or self._clock() < self._paused_until

    def _thin(self, topic: str) -> list[Message]:
        """Remove all of the topic's frames but the newest, and return them."""
        waiting = self._topics[topic]
        frames = [each.message for each in waiting if each.message.header.is_data]
        newest = frames[-1] if frames else None
        kept = [
            each for each in waiting if each.message is newest or not each.message.header.is_data
        ]
        self._length -= len(waiting) - len(kept)
        waiting.clear()
        waiting.extend(kept)
        self._has_dropped = self._has_dropped or len(frames) > 1
        return frames[:-1]
