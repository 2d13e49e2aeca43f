"""By how much the clocks of publishers differ from this one, measured by round trips.

A subscription to `clock/<nonce>/` asks a publisher for its time, which it sends on that topic. The
time that it was at lies between asking and answer, so half the round trip is the uncertainty.
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
from emostream.shared.messages import UNKNOWN_CLOCK_NS, Message

CLOCK: Final = "clock/"
TOPIC: Final = re.compile(r"clock/[0-9a-z-]{1,32}/", re.ASCII)
# The shortest round trips of so many s count, in two halves: clocks drift.
SHORTEST_FOR_S: Final = 30.0
# Asked quickly at first, then now and then, and before anybody is heard. Each question that nobody
# answers doubles the time to the next.
FIRST_ANSWERS: Final = 8
ASK_FIRST_S: Final = 0.05
ASK_LATER_S: Final = 2.0
ASK_NOBODY_S: Final = 0.2
# A publisher that falls silent may be gone. A question to it would be sent again and again, and
# meanwhile the system does not find out what it would by itself: so none is asked then.
SILENT_AFTER_S: Final = 0.5
FOUND_GONE_AFTER_S: Final = 4.0
# Questions that may be on their way.
MOST_ASKED: Final = 3
# A publisher that says nothing for so long does not know the question: its clock counts as ours.
ANSWERS_WITHIN_S: Final = 3.0
MOST_PUBLISHERS: Final = 256
# Of an answer, which has 80 bytes.
MAX_ANSWER_BYTES: Final = 1024


class ClockAnswer(msgspec.Struct, frozen=True):
    """The answer of a `publisher`: its `time`, ns since the epoch."""

    v: Annotated[int, Meta(ge=1, le=1)]
    publisher: Name
    time: Nanoseconds


@dataclass(frozen=True)
class Offset:
    """What to add to a publisher's times to have ours, and by how much that may be wrong; ns."""

    ns: int = 0
    uncertainty: int = 0

    @property
    def is_ours(self) -> bool:
        """Whether it may as well be 0."""
        return abs(self.ns) <= self.uncertainty


SAME: Final = Offset()
UNKNOWN: Final = Offset(0, UNKNOWN_CLOCK_NS)


@dataclass
class _Publisher:
    """What is known of a publisher's clock; times in s on the steady clock."""

    first_heard: float
    last_heard: float = 0.0
    stage: str = ""
    answers: int = 0
    best: Offset | None = None
    before: Offset | None = None
    since: float = field(default=0.0)

    def add(self, sample: Offset, now: float) -> None:
        """Take a round trip: the shortest counts, unless the clock has been set since."""
        known = self.shortest()
        if known and abs(sample.ns - known.ns) > sample.uncertainty + known.uncertainty:
            self.best = self.before = None
        if now - self.since > SHORTEST_FOR_S / 2:
            self.since, self.before, self.best = now, self.best, None
        if self.best is None or sample.uncertainty <= self.best.uncertainty:
            self.best = sample
        self.answers += 1

    def shortest(self) -> Offset | None:
        """Return the sample of the shortest round trip, if there is one."""
        samples = [each for each in (self.best, self.before) if each]
        return min(samples, key=lambda each: each.uncertainty, default=None)


class Clocks:
    """The clocks of the publishers that a process hears; for any thread.

    Times are s on the steady `clock`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._publishers: dict[str, _Publisher] = {}

    @property
    def ask_every(self) -> float:
        """After how many s to ask again."""
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
        """Take an answer: our time minus the publisher's, at the middle of the round trip; ns."""
        with self._lock:
            self._known(publisher).add(Offset(difference, round_trip // 2), self._clock())

    def local(self, message: Message) -> Message:
        """Return the message with what to add to its times to have those of this process."""
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

        The stage is "" of one of which no message came.
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
        # The one that was heard last is the last: those of earlier starts go first.
        known = self._publishers.pop(publisher, None) or _Publisher(self._clock())
        known.last_heard = self._clock()
        self._publishers[publisher] = known
        if len(self._publishers) > MOST_PUBLISHERS:
            del self._publishers[next(iter(self._publishers))]
        return known


def offset_text(offset: float, uncertainty: float) -> str:
    """Say how a clock goes to which `offset` s are to be added: `3600.000 s ahead (± 2.0 ms)`."""
    way = "behind" if offset > 0 else "ahead"
    return f"{abs(offset):.3f} s {way} (± {1000 * uncertainty:.1f} ms)"


class ClockQuestions:
    """What a receiver asks those behind one socket, and what the answers mean; for its thread.

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
        # By topic, when it was asked; the oldest first.
        self._asked: deque[tuple[str, float]] = deque()

    def hear(self) -> None:
        """Note that a message came of those that are asked."""
        self._heard_at = self._clock()

    def due(self) -> tuple[str, str] | None:
        """Return what to subscribe to now, if it is time, and from what to unsubscribe, or ""."""
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
        """Take an answer; one to a question that was given up counts for nothing."""
        asked = dict(self._asked).get(topic)
        if asked is None:
            return
        self._unanswered = 0
        round_trip = round(1e9 * (self._clock() - asked))
        middle = self._wall() - round_trip // 2
        self._clocks.add(answer.publisher, middle - answer.time, round_trip)
