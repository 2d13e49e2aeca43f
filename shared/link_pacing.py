"""How much a subscriber lets lie in the sockets before it: on a thin link a frame at a time."""

import time
from collections import deque
from collections.abc import Callable, Collection
from enum import Enum, auto
from typing import Final

from emostream.shared.messages import Message, frame_part

# Delays are trusted as the lowest for these s, in two halves: clocks drift, and may be set.
LOWEST_FOR_S: Final = 30.0
# A queue that does not shrink for so long is one that the link cannot empty.
CROWDED_FOR_S: Final = 0.5
# The queue is empty when nothing came for this many times the time between two messages of it.
SILENT_TIMES: Final = 2.0
SILENT_AT_LEAST_S: Final = 0.1
# No message came into a window when it took this many times that time.
GIVE_UP_TIMES: Final = 3.0
# A window is open for this many frames' time, so that one frame is published in it.
WINDOW_FRAMES: Final = 1.25
FIRST_WINDOW_S: Final = 0.05
LONGEST_WINDOW_S: Final = 2.0
# After what time a thin link is tried at full rate: at first, and at most.
TRY_AFTER_S: Final = 2.0
TRY_AFTER_AT_MOST_S: Final = 60.0
# Streams that are not seen for so long are forgotten; new ones are looked for as often.
LOOK_AGAIN_S: Final = 5.0
SAMPLES: Final = 8


class State(Enum):
    """How messages come: all of them, none until the sockets are empty, or one at a time."""

    OPEN = auto()
    DRAINING = auto()
    ONE_AT_A_TIME = auto()


class DelayMeter:
    """How long messages waited on the way, beyond the link's own delay.

    The clocks of two hosts differ by an amount that nobody knows, and changes slowly. So the lowest
    difference between arrival here and sending there counts as the link's own delay, and what
    exceeds it as time in a queue.
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


class _Stream:
    """The rate at which frames are published on a topic, also those that do not come here."""

    def __init__(self) -> None:
        self.window = FIRST_WINDOW_S
        self.seen = 0.0
        self._last: tuple[str, int, int] | None = None

    def note(self, message: Message, given: int, now: float) -> None:
        header = message.header
        if self._last and self._last[0] == header.publisher and header.sent > self._last[1]:
            _, sent, before = self._last
            interval = (given - before) / 1e9 / (header.sent - sent)
            self.window = min(max(WINDOW_FRAMES * interval, 0.001), LONGEST_WINDOW_S)
        self._last = header.publisher, header.sent, given
        self.seen = now


class LinkPacer:
    """Decides what a subscriber subscribes to, so that nothing waits on the way for long.

    PUB and SUB have no flow control: what a link cannot carry fills the sockets' buffers, and every
    frame is as old as they are deep, seconds on a thin link. Where messages keep waiting for more
    than half of `max_age` s beyond the link's own delay, this unsubscribes until the sockets are
    empty, and then subscribes for the time of one frame at a time; the next is let in when the last
    has come. Now and then it tries again whether the link carries all. Times are s on the steady
    `clock`; `wall` is ns since the epoch. Used by the thread that receives.
    """

    def __init__(
        self,
        topics: Collection[str],
        max_age: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._topics = frozenset(topics)
        self._max_age = max_age
        self._clock = clock
        self._wall = wall
        self.state = State.OPEN
        self._delays = DelayMeter(clock)
        self._clean: deque[float] = deque(maxlen=SAMPLES)
        self._streams: dict[str, _Stream] = {}
        self._skipped: set[str] = set()
        self._crowded_since: float | None = None
        self._last_arrival = self._changed = clock()
        self._between = SILENT_AT_LEAST_S
        self._try_after = TRY_AFTER_S
        self._looked = clock()
        self._turns: deque[str] = deque()
        self._window: frozenset[str] = frozenset()
        self._window_closes = self._give_up = 0.0
        self._widened = 1.0

    def wanted(self) -> frozenset[str]:
        """Return the topics to be subscribed to now."""
        now = self._clock()
        if self.state is State.DRAINING and now - self._last_arrival > self._silence:
            self._enter(State.ONE_AT_A_TIME, now)
            self._open_window(now)
        if self.state is State.ONE_AT_A_TIME:
            if now - self._changed > self._try_after:
                self._try_after = min(2 * self._try_after, TRY_AFTER_AT_MOST_S)
                self._enter(State.OPEN, now)
            elif now > self._give_up:
                self._widened = min(2 * self._widened, LONGEST_WINDOW_S / FIRST_WINDOW_S)
                self._open_window(now)
        match self.state:
            case State.OPEN:
                return self._topics
            case State.ONE_AT_A_TIME if now < self._window_closes:
                return self._window
            case _:
                return frozenset()

    def timeout(self) -> float:
        """Return the s after which `wanted` may change though nothing comes."""
        now = self._clock()
        match self.state:
            case State.OPEN:
                return 1.0
            case State.DRAINING:
                return max(0.0, self._last_arrival + self._silence - now)
            case _:
                closes = self._window_closes if now < self._window_closes else self._give_up
                return max(0.0, closes - now)

    def asked_for_all(self, message: Message) -> bool:
        """Whether all frames of the message's topic were asked for since the last one."""
        if message.topic not in self._skipped:
            return True
        if self.state is State.OPEN:
            self._skipped.discard(message.topic)
        return False

    def age(self, message: Message) -> float | None:
        """Return for how long a message waited on the way, s; None where that was too long."""
        now = self._clock()
        between, self._last_arrival = now - self._last_arrival, now
        if frame_part(message.header) is None or not message.header.marks:
            return 0.0
        given = max(given for _, given in message.header.marks.values())
        difference = (self._wall() - given) / 1e9
        stream = self._streams.setdefault(message.topic, _Stream())
        stream.note(message, given, now)
        match self.state:
            case State.OPEN:
                return self._open_age(difference, between, now)
            case State.DRAINING:
                self._between = max(self._between, min(between, LONGEST_WINDOW_S))
                return None
            case _:
                return self._single_age(difference, now)

    def _open_age(self, difference: float, between: float, now: float) -> float | None:
        waited = self._delays.waited(difference)
        if waited <= self._max_age / 2:
            self._crowded_since, self._between = None, SILENT_AT_LEAST_S
            if now - self._changed > TRY_AFTER_AT_MOST_S:
                self._try_after = TRY_AFTER_S
        elif self._crowded_since is None:
            self._crowded_since = now
        else:
            # They come from a queue, one as soon as the link has carried the one before.
            self._between = max(self._between, min(between, LONGEST_WINDOW_S))
            if now - self._crowded_since > CROWDED_FOR_S:
                self._enter(State.DRAINING, now)
        return waited if waited <= self._max_age else None

    def _single_age(self, difference: float, now: float) -> float | None:
        if self._clean and difference - min(self._clean) > self._max_age:
            # It was not alone on the way, or the messages are larger now.
            self._enter(State.DRAINING, now)
            return None
        # It was alone on the way, so what it took is the link's own delay.
        self._clean.append(difference)
        self._delays.set_lowest(min(self._clean))
        self._widened = 1.0
        self._open_window(now)
        return 0.0

    def _enter(self, state: State, now: float) -> None:
        self.state, self._changed, self._crowded_since = state, now, None
        if state is not State.OPEN:
            self._skipped = set(self._streams)
            self._clean.clear()

    def _open_window(self, now: float) -> None:
        """Let in the next frame of the topic whose turn it is."""
        self._streams = {
            topic: stream
            for topic, stream in self._streams.items()
            if now - stream.seen < 2 * LOOK_AGAIN_S
        }
        self._skipped.update(self._streams)
        topic = self._next_topic(now)
        if topic is None:
            self._looked = now
            self._window = self._topics
            window = max((one.window for one in self._streams.values()), default=FIRST_WINDOW_S)
        else:
            self._window = frozenset([topic])
            window = self._streams[topic].window
        self._window_closes = now + min(window * self._widened, LONGEST_WINDOW_S)
        self._give_up = self._window_closes + GIVE_UP_TIMES * self._between

    def _next_topic(self, now: float) -> str | None:
        """Return the topic whose turn it is; None where it is time to look for all."""
        if now - self._looked > LOOK_AGAIN_S:
            return None
        self._turns = deque(topic for topic in self._turns if topic in self._streams)
        self._turns.extend(topic for topic in self._streams if topic not in self._turns)
        if not self._turns:
            return None
        self._turns.rotate(-1)
        return self._turns[-1]

    @property
    def _silence(self) -> float:
        return SILENT_TIMES * self._between
