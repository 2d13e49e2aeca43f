"""Measures how much the clocks of publishers differ from this host's clock, by round trips.

A subscription to `clock/<nonce>/` asks a publisher for its time, which it sends on that topic. It
read its clock between our request and its answer, so the uncertainty is half the round trip.
"""

import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from emostream.shared.fields import LARGEST_NS, Name, Nanoseconds
from emostream.shared.memory_reference import Offer
from emostream.shared.messages import UNKNOWN_CLOCK_NS, Message

CLOCK: Final = "clock/"
TOPIC: Final = re.compile(r"clock/[0-9a-z-]{1,32}/", re.ASCII)
# The shortest round trips within this many s count, in two halves, because clocks drift.
SHORTEST_FOR_S: Final = 30.0
# Intervals between requests: at first, later, and before any message has arrived. Each request that
# nobody answers doubles the time to the next one.
FIRST_ANSWERS: Final = 8
ASK_FIRST_S: Final = 0.05
ASK_LATER_S: Final = 2.0
ASK_NOBODY_S: Final = 0.2
# A publisher that falls silent may be gone. A request would be retransmitted again and again, and
# keep the kernel from detecting the dead connection. So none is sent in this case.
SILENT_AFTER_S: Final = 0.5
FOUND_GONE_AFTER_S: Final = 4.0
# The maximum number of requests in flight.
MOST_ASKED: Final = 3
# A publisher that does not answer for this long does not support requests; assume offset 0.
ANSWERS_WITHIN_S: Final = 3.0
MOST_PUBLISHERS: Final = 256
# The size limit of an answer, which has 80 bytes, or 180 with an offer of shared memory.
MAX_ANSWER_BYTES: Final = 1024


class ClockAnswer(msgspec.Struct, frozen=True):
    """The answer of a `publisher`: its `time` in ns since the epoch, and its shared memory."""

    v: Annotated[int, Meta(ge=1, le=1)]
    publisher: Name
    time: Nanoseconds
    shared: Offer | None = None


@dataclass(frozen=True)
class Offset:
    """The offset to add to a publisher's times to get ours, and its uncertainty; both in ns."""

    ns: int = 0
    uncertainty: int = 0

    @property
    def is_ours(self) -> bool:
        """Whether the offset is within its uncertainty of 0."""
        return abs(self.ns) <= self.uncertainty


SAME: Final = Offset()
UNKNOWN: Final = Offset(0, UNKNOWN_CLOCK_NS)


@dataclass
class _Publisher:
    """What is known about a publisher's clock; times in s on the steady clock."""

    first_heard: float
    last_heard: float = 0.0
    stage: str = ""
    answers: int = 0
    best: Offset | None = None
    before: Offset | None = None
    since: float = field(default=0.0)

    def add(self, sample: Offset, now: float) -> None:
        """Add a round trip. The shortest one counts, unless the clock was set since."""
        known = self.shortest()
        if known and abs(sample.ns - known.ns) > sample.uncertainty + known.uncertainty:
            self.best = self.before = None
        if now - self.since > SHORTEST_FOR_S / 2:
            self.since, self.before, self.best = now, self.best, None
        if self.best is None or sample.uncertainty <= self.best.uncertainty:
            self.best = sample
        self.answers += 1

    def shortest(self) -> Offset | None:
        """Return the sample with the shortest round trip, if there is one."""
        samples = [each for each in (self.best, self.before) if each]
        return min(samples, key=lambda each: each.uncertainty, default=None)


class Clocks:
    """The clocks of a process's publishers. Thread-safe.

    Times are s on the steady `clock`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._publishers: dict[str, _Publisher] = {}

    @property
    def ask_every(self) -> float:
        """The time in s until the next request."""
        with self._lock:
            if not self._publishers:
                return ASK_NOBODY_S
            late = self._clock() - ANSWERS_WITHIN_S
            new = any(
                each.answers < FIRST_ANSWERS
                and each.last_heard > late
                and (each.answers or each.first_heard > late)
                for each in self._publishers.values()
            )
            return ASK_FIRST_S if new else ASK_LATER_S

    def add(self, publisher: str, difference: int, round_trip: int) -> None:
        """Add an answer: our time minus the publisher's at the middle of the round trip, in ns."""
        with self._lock:
            self._known(publisher).add(Offset(difference, round_trip // 2), self._clock())

    def local(self, message: Message) -> Message:
        """Return the message with the offset to add to its times to get this process's time."""
        header = message.header
        if not header.publisher:
            return message
        offset = self._offset(header.publisher, next(reversed(header.marks), ""))
        if offset == SAME:
            return message
        total = max(-LARGEST_NS, min(header.clock_offset + offset.ns, LARGEST_NS))
        uncertainty = min(header.clock_uncertainty + offset.uncertainty, UNKNOWN_CLOCK_NS)
        corrected = msgspec.structs.replace(
            header, clock_offset=total, clock_uncertainty=uncertainty
        )
        return Message(corrected, message.payload, message.shard)

    def measured(self) -> list[tuple[str, str, Offset]]:
        """Return stage, publisher and clock of each publisher that answered.

        The stage is "" for a publisher without messages so far.
        """
        with self._lock:
            found = ((name, each, each.shortest()) for name, each in self._publishers.items())
            return [(each.stage, name, best) for name, each, best in found if best]

    def _offset(self, publisher: str, stage: str) -> Offset:
        with self._lock:
            known = self._known(publisher)
            known.stage = stage
            best = known.shortest()
            if best:
                return SAME if best.is_ours else best
            is_new = self._clock() - known.first_heard < ANSWERS_WITHIN_S
            return UNKNOWN if is_new else SAME

    def _known(self, publisher: str) -> _Publisher:
        # The most recently active publisher is last, so earlier starts are removed first.
        known = self._publishers.pop(publisher, None) or _Publisher(self._clock())
        known.last_heard = self._clock()
        self._publishers[publisher] = known
        if len(self._publishers) > MOST_PUBLISHERS:
            del self._publishers[next(iter(self._publishers))]
        return known


def offset_text(offset: float, uncertainty: float) -> str:
    """Describe a clock that needs `offset` s added: `3600.000 s ahead (± 2.0 ms)`."""
    way = "behind" if offset > 0 else "ahead"
    return f"{abs(offset):.3f} s {way} (± {1000 * uncertainty:.1f} ms)"


class ClockQuestions:
    """The time requests that a receiver sends on one socket, and their answers. Not thread-safe.

    Times are s on the steady `clock`, `wall` is ns since the epoch.
    """

    def __init__(
        self,
        clocks: Clocks,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._clocks = clocks
        self._clock = clock
        self._wall = wall
        self._name = secrets.token_hex(4)
        self._number = 0
        self._ask_at = 0.0
        self._heard_at = float("-inf")
        self._unanswered = 0
        # The time of each request by topic, oldest first.
        self._asked: deque[tuple[str, float]] = deque()

    def hear(self) -> None:
        """Record that a message of these publishers arrived."""
        self._heard_at = self._clock()

    def due(self) -> tuple[str, str] | None:
        """Return the topic to subscribe to now and the one to unsubscribe from, "" for none."""
        now = self._clock()
        may_be_gone = SILENT_AFTER_S < now - self._heard_at < FOUND_GONE_AFTER_S
        if now < self._ask_at or may_be_gone:
            return None
        every = self._clocks.ask_every * 2 ** min(self._unanswered, 5)
        self._ask_at = now + min(every, ASK_LATER_S)
        self._number += 1
        self._unanswered += 1
        topic = f"{CLOCK}{self._name}-{self._number}/"
        self._asked.append((topic, now))
        old = self._asked.popleft()[0] if len(self._asked) > MOST_ASKED else ""
        return topic, old

    def take(self, topic: str, answer: ClockAnswer) -> None:
        """Take an answer; late answers to abandoned requests are ignored."""
        asked = dict(self._asked).get(topic)
        if asked is None:
            return
        self._unanswered = 0
        round_trip = round(1e9 * (self._clock() - asked))
        middle = self._wall() - round_trip // 2
        self._clocks.add(answer.publisher, middle - answer.time, round_trip)
