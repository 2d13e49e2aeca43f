"""Back-pressure for slow links: a subscriber that requests one frame at a time."""

import secrets
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Final

from emostream.shared.messages import Message
from emostream.shared.requests import request
from emostream.shared.sequences import frame_part

# The lowest delay within this many s counts, in two halves, because clocks drift and may be set.
LOWEST_FOR_S: Final = 30.0
# If a queue does not shrink for this long, the link cannot carry all messages.
CROWDED_FOR_S: Final = 0.5
# If at most this many messages are sent per requested one, requesting gets nearly all frames, and
# the link is no longer slow. A link with high latency is retried at full rate after a time.
KEEPS_UP: Final = 2
TRY_AFTER_S: Final = 15.0
TRY_AFTER_AT_MOST_S: Final = 60.0
# A requested message may be lost, or its stream may be quiet: then another one is requested.
PATIENCE_S: Final = 1.0
PATIENCE_AT_MOST_S: Final = 60.0
# Streams without messages for this long are not requested; new ones are looked for as often.
LOOK_AGAIN_S: Final = 5.0
SAMPLES: Final = 8


class DelayMeter:
    """Measures how long messages waited in transit, beyond the link's own delay.

    The clocks of two hosts differ by an unknown amount that changes slowly. So the lowest
    difference between arrival here and sending there counts as the link's own delay, and everything
    above that as time in a queue.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._lowest = self._lowest_before = float("inf")

    def waited(self, difference: float) -> float:
        """Return how long a message waited (s) that arrived `difference` s after it was sent."""
        now = self._clock()
        if now - self._since > LOWEST_FOR_S / 2:
            self._since, self._lowest_before, self._lowest = now, self._lowest, float("inf")
        self._lowest = min(self._lowest, difference)
        return difference - min(self._lowest, self._lowest_before)

    def set_lowest(self, difference: float) -> None:
        """Use `difference` as the link's own delay."""
        self._since, self._lowest, self._lowest_before = self._clock(), difference, float("inf")


class LinkPacer:
    """Chooses the topics of a subscriber so that messages do not queue on a slow link.

    PUB and SUB sockets have no flow control. Messages that a link cannot carry fill the socket
    buffers, and on a slow link every frame is then seconds old. If messages keep waiting for more
    than half of `max_age` s beyond the link's own delay, this class requests one message at a time,
    from each stream in turn, and the next one only when that has arrived. At intervals, it retries
    all messages. Times are s on the steady `clock`; `wall` is ns since the epoch. Used by the
    receiving thread.
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
        # The state while requesting one message at a time.
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
        """Whether it requests one message at a time."""
        return self._request is not None

    def wanted(self) -> frozenset[str]:
        """Return the topics to subscribe to now."""
        now = self._clock()
        if self._request is None:
            return frozenset(self._topics)
        # A publisher that does not support requests sends nothing.
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
        """Whether all frames of the message's topic were requested since the last one."""
        if message.topic not in self._left_out:
            return True
        if not self.is_asking:
            self._left_out.discard(message.topic)
        return False

    def age(self, message: Message) -> float | None:
        """Return how long a message waited in transit (s), or None if that was too long."""
        now = self._clock()
        if frame_part(message.header) is None or not message.header.marks:
            waited: float | None = 0.0
        else:
            # Use the publisher's mark, because all its messages have its clock; other marks may
            # come from hosts whose clocks are ahead.
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
            # The first message arrived after everything that was in the queue before.
            self._alone = deque(maxlen=SAMPLES)
            waited = self._delays.waited(difference)
            return waited if waited <= self._max_age else None
        # It was the only message in transit, so its delay is the link's own.
        self._alone.append(difference)
        self._delays.set_lowest(min(self._alone))
        return 0.0

    def _note_rate(self, message: Message) -> None:
        sent, topic = message.header.sent, message.topic
        keeps_up = 0 <= sent - self._sent.get(topic, -KEEPS_UP - 1) <= KEEPS_UP
        self._kept_up = self._kept_up + 1 if keeps_up and self.is_asking else 0
        self._sent[topic] = sent

    def _ask(self, now: float) -> None:
        """Request the next message of the next stream."""
        self._seen = {t: seen for t, seen in self._seen.items() if now - seen < 2 * LOOK_AGAIN_S}
        self._sent = {topic: self._sent[topic] for topic in self._seen if topic in self._sent}
        self._left_out.update(self._seen)
        self._requests += 1
        self._requested = now
        name = f"{self._name}-{self._requests}"
        self._request = request(name, self._next_topic(now))

    def _next_topic(self, now: float) -> str:
        if not self._seen or now - self._looked > LOOK_AGAIN_S:
            # Any next message, perhaps from a new stream.
            self._looked = now
            return self._topics[self._requests % len(self._topics)]
        self._turns = deque(topic for topic in self._turns if topic in self._seen)
        self._turns.extend(topic for topic in self._seen if topic not in self._turns)
        self._turns.rotate(-1)
        return self._turns[-1]
