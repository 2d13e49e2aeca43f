"""What a subscriber asks for: all of it, or messages one by one where it or its link is slow."""

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

# Delays are trusted as the lowest for these s, in two halves: clocks drift, and may be set.
LOWEST_FOR_S: Final = 30.0
# A queue that does not shrink for so long is one that the link cannot empty.
CROWDED_FOR_S: Final = 0.5
# Asking for single messages gets nearly all of them where at most this many are sent for one that
# is asked for: such a link is thin no longer. One with a long way is tried at full rate after a
# time.
KEEPS_UP: Final = 2
TRY_AFTER_S: Final = 15.0
TRY_AFTER_AT_MOST_S: Final = 60.0
SAMPLES: Final = 8
# After so many messages in time one more is asked for at once. Where that fills the link's queue,
# twice as many are needed for the next.
MOST_SAMPLES: Final = 256
# New streams are looked for as often. On a thin link a message that is no new one's costs more.
LOOK_AGAIN_S: Final = 0.25
LOOK_AGAIN_THIN_S: Final = 5.0
# Where requests bring nothing for so long, all is subscribed to, whether it is needed or not.
UNANSWERED_S: Final = 3.0
# While nothing may be asked for, the inbox is looked at again after so many ms.
FULL_POLL_MS: Final = 5
POLL_MS: Final = 100


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
    """Decides what a subscriber subscribes to, so that nothing is sent in vain or waits for long.

    PUB and SUB have no flow control: what a link cannot carry fills the sockets' buffers, and every
    frame is as old as they are deep, seconds on a thin link. And what a consumer has no time for is
    copied, sent and received before it is dropped, which takes the time that it lacks. Where
    messages keep waiting for more than half of `max_age` s beyond the link's own delay, or the
    `inbox` drops more than a third of them, this asks for single messages, of each stream in turn:
    on a thin link for the next when one has come, so it is never behind another, and else as the
    inbox has room. Now and then it retries whether all can be had. While `is_spared` it asks for
    one message at a time without need. Times are s on the steady `clock`; `wall` is ns since the
    epoch. Used by the thread that receives; another one may set `is_spared`.
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
        self._left_out: set[str] = set()
        # Who sent the last message of a topic, and its number there.
        self._last: dict[str, tuple[str, int]] = {}
        self._changed = clock()
        self._crowded_since: float | None = None
        self._try_after = TRY_AFTER_S
        self.reason = STALE
        self.is_spared = self._spares = False
        self._heard = clock()
        # Of a thin link: how many messages it carries at once, how many came of the `_needed` ones
        # that show that it carries more, and how long those took that were alone on it.
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
        """Whether it asks for single messages."""
        is_behind = self._consumer is not None and self._consumer.is_behind
        return self._is_thin or is_behind or self._spares

    @property
    def poll_ms(self) -> int:
        """For how long to wait for a message before `wanted` is to be asked again, ms."""
        return FULL_POLL_MS if self.is_asking and not self._asking else POLL_MS

    def wanted(self) -> frozenset[str]:
        """Return the topics to be subscribed to now."""
        now = self._clock()
        if self._is_thin:
            # Of a publisher that knows no requests nothing comes at all.
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
        # What the frames that are not asked for are counted by.
        self.reason = STALE if self._is_thin else BACKLOG
        return self._asking.subscriptions

    def answered(self, topic: bytes) -> bytes:
        """Take the topic that a message came on; return its own, without what asked for it."""
        self._heard = self._clock()
        self._was_alone = self._is_thin and self._window == 1 and len(self._asking) == 1
        if topic.startswith(ONCE.encode()):
            self._asking.answered(topic.decode("ascii", "replace"))
        return answered_topic(topic)

    def asked_for_all(self, message: Message) -> bool:
        """Whether all frames of the message's topic were asked for since the last one."""
        if message.topic not in self._left_out:
            return True
        if not self.is_asking:
            self._left_out.discard(message.topic)
        return False

    def repeats(self, message: Message) -> bool:
        """Whether the message came before: as the next of its stream, and as the next of all."""
        header = message.header
        last = self._last.get(message.topic)
        return self.is_asking and header.is_data and last == (header.publisher, header.sent)

    def age(self, message: Message) -> float | None:
        """Return for how long a message waited on the way, s; None if that was too long."""
        now = self._clock()
        if frame_part(message.header) is None or not message.header.marks:
            return 0.0
        # The mark of the publisher, by whose clock all of its messages are; others may be of hosts
        # whose clocks are ahead.
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
        """Have half as many messages on the link, once for all that wait on it now."""
        if self._window > 1 and now - self._narrowed > CROWDED_FOR_S:
            if self._window == 2:
                self._needed, self._alone = min(2 * self._needed, MOST_SAMPLES), None
            self._window, self._in_time, self._narrowed = self._window // 2, 0, now

    def _waited_alone(self, difference: float) -> float | None:
        if self._alone is None:
            # The first one came behind all that was in the queue before.
            self._alone = deque(maxlen=SAMPLES)
            waited = self._delays.waited(difference)
            return waited if waited <= self._max_age else None
        # It was alone on the way, so what it took is the link's own delay.
        self._alone.append(difference)
        self._delays.set_lowest(min(self._alone))
        self._note_in_time()
        return 0.0

    def _note_in_time(self) -> None:
        """Note a message that waited for no other on the link: perhaps that carries more."""
        self._in_time += 1
        if self._in_time >= self._needed and self._window < MOST_EACH:
            self._window, self._in_time = self._window + 1, 0
            if self._window > 2:
                self._needed = SAMPLES

    def _note_sent(self, message: Message) -> int:
        """Return how many of its stream were sent for this one; 1 where that is not known."""
        header, topic = message.header, message.topic
        publisher, before = self._last.get(topic, ("", 0))
        self._last[topic] = header.publisher, header.sent
        sent = header.sent - before if publisher == header.publisher else 0
        self._kept_up = self._kept_up + 1 if 0 < sent <= KEEPS_UP and self._is_thin else 0
        return max(1, sent)
