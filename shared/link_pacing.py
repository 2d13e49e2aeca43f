"""How much a subscriber lets lie in the sockets before it: on a thin link a frame at a time."""

import secrets
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Final

from emostream.shared.messages import Message
from emostream.shared.requests import request
from emostream.shared.sequences import frame_part

# Delays are trusted as the lowest for these s, in two halves: clocks drift, and may be set.
LOWEST_FOR_S: Final = 30.0
# A queue that does not shrink for so long is one that the link cannot empty.
CROWDED_FOR_S: Final = 0.5
# Asking for one at a time gets nearly all frames where at most this many are sent for one that is
# asked for: such a link is thin no longer. One with a long way is tried at full rate after a time.
KEEPS_UP: Final = 2
TRY_AFTER_S: Final = 15.0
TRY_AFTER_AT_MOST_S: Final = 60.0
# What is asked for may be lost, or of a stream that is quiet: then another is asked for.
PATIENCE_S: Final = 1.0
PATIENCE_AT_MOST_S: Final = 60.0
# Streams that were not seen for so long are not asked for, and new ones are looked for as often.
LOOK_AGAIN_S: Final = 5.0
SAMPLES: Final = 8


class DelayMeter:
    """How long messages waited on the way, beyond the link's own delay.

    The clocks of two hosts differ by an amount that nobody knows, and that changes slowly. So the
    lowest difference between arrival here and sending there counts as the link's own delay, and
    what exceeds it as time in a queue.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._lowest = self._lowest_before = float("inf")

    def waited(self, difference: float) -> float:
        """Return the s that a message waited which arrived `difference` s after it was sent."""
        now = self._clock()
        if now - self._since > LOWEST_FOR_S / 2:
            self._since, self._lowest_before, self._lowest = now, self._lowest, float("inf")
        self._lowest = min(self._lowest, difference)
        return difference - min(self._lowest, self._lowest_before)

    def set_lowest(self, difference: float) -> None:
        """Take `difference` for the link's own delay."""
        self._since, self._lowest, self._lowest_before = self._clock(), difference, float("inf")


class LinkPacer:
    """Decides what a subscriber subscribes to, so that nothing waits on the way for long.

    PUB and SUB have no flow control: what a link cannot carry fills the sockets' buffers, and every
    frame is as old as they are deep, seconds on a thin link. Where messages keep waiting for more
    than half of `max_age` s beyond the link's own delay, this asks for one message at a time, the
    next when that has come, of each stream in turn; so it is never behind another. Now and then it
    retries whether the link carries all. Times are s on the steady `clock`; `wall` is ns since the
    epoch. Used by the thread that receives.
    """

    def __init__(
        self,
        topics: Collection[str],
        max_age: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._topics = tuple(topics)
        self._max_age = max_age
        self._clock = clock
        self._wall = wall
        self._name = secrets.token_hex(4)
        self._delays = DelayMeter(clock)
        self._seen: dict[str, float] = {}
        self._left_out: set[str] = set()
        self._changed = self._looked = clock()
        self._crowded_since: float | None = None
        self._try_after = TRY_AFTER_S
        # Of asking for one message at a time.
        self._request: str | None = None
        self._requests = 0
        self._requested = 0.0
        self._patience = PATIENCE_S
        self._alone: deque[float] | None = None
        self._turns: deque[str] = deque()
        self._sent: dict[str, int] = {}
        self._kept_up = 0

    @property
    def is_asking(self) -> bool:
        """Whether it asks for one message at a time."""
        return self._request is not None

    def wanted(self) -> frozenset[str]:
        """Return the topics to be subscribed to now."""
        now = self._clock()
        if self._request is None:
            return frozenset(self._topics)
        # Of a publisher that knows no requests nothing comes at all.
        try_after = self._try_after if self._alone else TRY_AFTER_AT_MOST_S
        if self._kept_up >= SAMPLES or now - self._changed > try_after:
            self._try_after = min(2 * self._try_after, TRY_AFTER_AT_MOST_S)
            self._request, self._changed = None, now
            return frozenset(self._topics)
        if now - self._requested > self._patience:
            self._patience = min(2 * self._patience, PATIENCE_AT_MOST_S)
            self._ask(now)
        return frozenset([self._request])

    def asked_for_all(self, message: Message) -> bool:
        """Whether all frames of the message's topic were asked for since the last one."""
        if message.topic not in self._left_out:
            return True
        if not self.is_asking:
            self._left_out.discard(message.topic)
        return False

    def age(self, message: Message) -> float | None:
        """Return for how long a message waited on the way, s; None if that was too long."""
        now = self._clock()
        if frame_part(message.header) is None or not message.header.marks:
            waited: float | None = 0.0
        else:
            # That of the publisher, by whose clock all of its messages are; others may be of hosts
            # whose clocks are ahead.
            _, given = next(reversed(message.header.marks.values()))
            self._seen[message.topic] = now
            difference = (self._wall() - given) / 1e9
            measure = self._waited_alone if self.is_asking else self._waited
            waited = measure(difference, now)
            self._note_rate(message)
        if self.is_asking:
            self._patience = max(PATIENCE_S, 3 * (now - self._requested))
            self._ask(now)
        return waited

    def _waited(self, difference: float, now: float) -> float | None:
        waited = self._delays.waited(difference)
        if waited <= self._max_age / 2:
            self._crowded_since = None
            if now - self._changed > TRY_AFTER_AT_MOST_S:
                self._try_after = TRY_AFTER_S
        elif self._crowded_since is None:
            self._crowded_since = now
        elif now - self._crowded_since > CROWDED_FOR_S:
            self._crowded_since, self._alone, self._changed, self._kept_up = None, None, now, 0
            self._request, self._requested = "", now
        return waited if waited <= self._max_age else None

    def _waited_alone(self, difference: float, now: float) -> float | None:
        if self._alone is None:
            # The first one came behind all that was in the queue before.
            self._alone = deque(maxlen=SAMPLES)
            waited = self._delays.waited(difference)
            return waited if waited <= self._max_age else None
        # It was alone on the way, so what it took is the link's own delay.
        self._alone.append(difference)
        self._delays.set_lowest(min(self._alone))
        return 0.0

    def _note_rate(self, message: Message) -> None:
        sent, topic = message.header.sent, message.topic
        keeps_up = 0 <= sent - self._sent.get(topic, -KEEPS_UP - 1) <= KEEPS_UP
        self._kept_up = self._kept_up + 1 if keeps_up and self.is_asking else 0
        self._sent[topic] = sent

    def _ask(self, now: float) -> None:
        """Ask for the next message of the stream whose turn it is."""
        self._seen = {t: seen for t, seen in self._seen.items() if now - seen < 2 * LOOK_AGAIN_S}
        self._sent = {topic: self._sent[topic] for topic in self._seen if topic in self._sent}
        self._left_out.update(self._seen)
        self._requests += 1
        self._requested = now
        name = f"{self._name}-{self._requests}"
        self._request = request(name, self._next_topic(now))

    def _next_topic(self, now: float) -> str:
        if not self._seen or now - self._looked > LOOK_AGAIN_S:
            # Whichever is the next: perhaps a new stream.
            self._looked = now
            return self._topics[self._requests % len(self._topics)]
        self._turns = deque(topic for topic in self._turns if topic in self._seen)
        self._turns.extend(topic for topic in self._seen if topic not in self._turns)
        self._turns.rotate(-1)
        return self._turns[-1]
