"""Back-pressure: a subscriber that requests single messages if it or its link is too slow."""

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Final

from emostream.shared.asking import Asking
from emostream.shared.consumer_pacing import ConsumerPace
from emostream.shared.inbox import LiveInbox
from emostream.shared.messages import Message
from emostream.shared.metrics import BACKLOG, STALE
from emostream.shared.requests import MOST_EACH, ONCE, answered_topic
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
SAMPLES: Final = 8
# After this many messages without delay, one more is requested at a time. If that fills the link's
# queue, twice as many are needed for the next try.
MOST_SAMPLES: Final = 256
# How often new streams are looked for. On a slow link, a message from a known one costs more.
LOOK_AGAIN_S: Final = 0.25
LOOK_AGAIN_THIN_S: Final = 5.0
# If requests get no answer for this long, all messages are subscribed to.
UNANSWERED_S: Final = 3.0
# While the inbox has no room, it is checked again after this many ms.
FULL_POLL_MS: Final = 5
POLL_MS: Final = 100


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
    """Chooses the topics of a subscriber so that messages are neither late nor sent for nothing.

    PUB and SUB sockets have no flow control. Messages that a link cannot carry fill the socket
    buffers, and on a slow link every frame is then seconds old. Messages that a stage has no time
    for are copied, sent and received before they are dropped, which takes more of its time. If
    messages keep waiting for more than half of `max_age` s beyond the link's own delay, or `inbox`
    drops more than a third of them, this class requests single messages, from each stream in turn:
    as many at a time as do not delay each other on the link, and as the inbox has room for. At
    intervals, it retries all messages. While `is_spared`, it requests one at a time in any case.
    Times are s on the steady `clock`; `wall` is ns since the epoch. Used by the receiving thread;
    other threads may set `is_spared`.
    """

    def __init__(
        self,
        topics: Collection[str],
        max_age: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
        inbox: LiveInbox | None = None,
    ) -> None:
        self._topics = tuple(topics)
        self._max_age = max_age
        self._clock = clock
        self._wall = wall
        self._delays = DelayMeter(clock)
        self._consumer = None if inbox is None else ConsumerPace(inbox, max_age, clock)
        self._asking = Asking(topics, clock)
        self._is_answer = False
        self._left_out: set[str] = set()
        # By topic: the publisher of the last message, and its `sent`.
        self._last: dict[str, tuple[str, int]] = {}
        self._changed = clock()
        self._crowded_since: float | None = None
        self._try_after = TRY_AFTER_S
        self.reason = STALE
        self.is_spared = self._spares = False
        self._heard = clock()
        # Of a slow link: how many messages may be on it at a time, how many of the `_needed` ones
        # without delay have arrived, and the delays of those that were alone on it.
        self._is_thin = False
        self._window = MOST_EACH
        self._in_time = 0
        self._needed = SAMPLES
        self._alone: deque[float] | None = None
        self._was_alone = False
        self._narrowed = clock()
        self._kept_up = 0

    @property
    def is_asking(self) -> bool:
        """Whether it requests single messages."""
        return self._is_thin or self._is_behind or self._spares

    @property
    def _is_behind(self) -> bool:
        return self._consumer is not None and self._consumer.is_behind

    @property
    def poll_ms(self) -> int:
        """How long to wait for a message before the next call of `wanted`, in ms."""
        return FULL_POLL_MS if self.is_asking and not self._asking else POLL_MS

    def wanted(self) -> frozenset[str]:
        """Return the topics to subscribe to now."""
        now = self._clock()
        if self._is_thin:
            # A publisher that does not support requests sends nothing.
            try_after = self._try_after if self._alone else TRY_AFTER_AT_MOST_S
            if self._kept_up >= SAMPLES or now - self._changed > try_after:
                self._try_after = min(2 * self._try_after, TRY_AFTER_AT_MOST_S)
                self._is_thin, self._window, self._changed = False, MOST_EACH, now
        if self._consumer and self._asking.streams:
            self._consumer.look()
        self._spares = self.is_spared and now - self._heard < UNANSWERED_S
        for topic in self._asking.forget_silent():
            self._last.pop(topic, None)
        if not self.is_asking:
            self._asking.stop()
            return frozenset(self._topics)
        if self._consumer and self._consumer.is_behind:
            self._asking.ask(min(self._window, self._consumer.room), LOOK_AGAIN_S)
        else:
            self._asking.ask(1 if self._spares else self._window, LOOK_AGAIN_THIN_S)
        self._left_out.update(self._asking.streams)
        # The reason by which frames that were not requested are counted.
        self.reason = STALE if self._is_thin else BACKLOG
        listens = self._is_behind and not self._is_thin and self._asking.listens()
        return self._asking.subscriptions.union(self._topics if listens else ())

    def answered(self, topic: bytes) -> bytes:
        """Note the topic that a message arrived on; return its own topic, without the request."""
        self._heard = self._clock()
        self._was_alone = self._is_thin and self._window == 1 and len(self._asking) == 1
        self._is_answer = topic.startswith(ONCE.encode())
        if self._is_answer:
            self._asking.answered(topic.decode("ascii", "replace"))
        return answered_topic(topic)

    def asked_for_all(self, message: Message) -> bool:
        """Whether all frames of the message's topic were requested since the last one."""
        if message.topic not in self._left_out:
            return True
        if not self.is_asking:
            self._left_out.discard(message.topic)
        return False

    def skips(self, message: Message) -> bool:
        """Whether the message arrived before, or is of a known stream and was not requested."""
        header = message.header
        if not self.is_asking or not header.is_data:
            return False
        # One message can answer two requests.
        is_repeated = self._last.get(message.topic) == (header.publisher, header.sent)
        is_known = message.topic in self._asking.streams
        return is_repeated or (is_known and not self._is_answer)

    def age(self, message: Message) -> float | None:
        """Return how long a message waited in transit (s), or None if that was too long."""
        now = self._clock()
        if frame_part(message.header) is None or not message.header.marks:
            return 0.0
        # Use the publisher's mark, because all its messages have its clock; other marks may come
        # from hosts whose clocks are ahead.
        _, given = next(reversed(message.header.marks.values()))
        self._asking.see(message.topic)
        sent = self._note_sent(message)
        if self._consumer:
            self._consumer.note_arrival(sent)
        difference = (self._wall() - given) / 1e9
        if self._is_thin and self._was_alone:
            return self._waited_alone(difference)
        waited = self._delays.waited(difference)
        self._note_waited(waited, now)
        return waited if waited <= self._max_age else None

    def _note_waited(self, waited: float, now: float) -> None:
        if waited <= self._max_age / 2:
            self._crowded_since = None
            if now - self._changed > TRY_AFTER_AT_MOST_S:
                self._try_after = TRY_AFTER_S
            self._note_in_time()
        elif self._is_thin:
            self._narrow(now)
        elif self._crowded_since is None:
            self._crowded_since = now
        elif now - self._crowded_since > CROWDED_FOR_S:
            self._is_thin, self._needed, self._kept_up = True, SAMPLES, 0
            self._crowded_since, self._window, self._in_time, self._alone = None, 1, 0, None
            self._changed = self._narrowed = now

    def _narrow(self, now: float) -> None:
        """Allow half as many messages on the link, once for all that are on it now."""
        if self._window > 1 and now - self._narrowed > CROWDED_FOR_S:
            if self._window == 2:
                self._needed, self._alone = min(2 * self._needed, MOST_SAMPLES), None
            self._window, self._in_time, self._narrowed = self._window // 2, 0, now

    def _waited_alone(self, difference: float) -> float | None:
        if self._alone is None:
            # The first message arrived after everything that was in the queue before.
            self._alone = deque(maxlen=SAMPLES)
            waited = self._delays.waited(difference)
            return waited if waited <= self._max_age else None
        # It was the only message in transit, so its delay is the link's own.
        self._alone.append(difference)
        self._delays.set_lowest(min(self._alone))
        self._note_in_time()
        return 0.0

    def _note_in_time(self) -> None:
        """Note a message that did not wait on the link: it may carry more at a time."""
        self._in_time += 1
        if self._in_time >= self._needed and self._window < MOST_EACH:
            self._window, self._in_time = self._window + 1, 0
            if self._window > 2:
                self._needed = SAMPLES

    def _note_sent(self, message: Message) -> int:
        """Return how many messages of its stream were sent per this one, or 1 if unknown."""
        header, topic = message.header, message.topic
        publisher, before = self._last.get(topic, ("", 0))
        self._last[topic] = header.publisher, header.sent
        sent = header.sent - before if publisher == header.publisher else 0
        self._kept_up = self._kept_up + 1 if 0 < sent <= KEEPS_UP and self._is_thin else 0
        return max(1, sent)
