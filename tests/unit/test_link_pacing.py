"""What a subscriber lets lie in the sockets: all on a link that carries it, else one at a time."""

from collections import Counter, deque

import pytest

from emostream.shared.link_pacing import LinkPacer
from emostream.shared.messages import Message
from emostream.shared.requests import Requests, answered_topic
from tests.builders import Clock, faces

STEP_S = 0.005
INTERVAL_S = 0.04
MAX_AGE_S = 0.2
# What sockets and the link's own queue hold, in messages.
QUEUE = 8


class Link:
    """A publisher of some streams, a link that takes `seconds` a message, and a subscriber.

    The publisher's clock is `skew` s ahead of the subscriber's.
    """

    def __init__(self, seconds: float, streams: int = 1, skew: float = 0.0, way: float = 0.01):
        self.seconds = seconds
        self.skew = skew
        self.way = way
        self.clock = Clock()
        self.pacer = LinkPacer(["faces/0/"], MAX_AGE_S, self.clock, self.wall)
        self.streams = [f"cam{number}" for number in range(streams)]
        self.requests = Requests()
        self.subscribed: frozenset[str] = frozenset()
        self.queue: deque[tuple[str, float, Message]] = deque()
        self.free_at = 0.0
        self.arriving: tuple[float, str, float, Message] | None = None
        self.sent: Counter[str] = Counter()
        self.ages: list[tuple[str, float]] = []
        self.asked_for_all: list[bool] = []
        self.next_frame = self.clock.now

    def wall(self) -> int:
        return round(1e9 * (self.clock.now + 1000))

    def is_thin(self) -> bool:
        """Whether the subscriber takes the link for a thin one."""
        return self.pacer.is_asking

    def run(self, seconds: float) -> None:
        """Let it run; the ages of what the subscriber kept are in `ages`."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += STEP_S
            self._subscribe()
            if self.clock.now >= self.next_frame:
                self.next_frame += INTERVAL_S
                for stream in self.streams:
                    self._publish(stream)
            self._carry()

    def _subscribe(self) -> None:
        wanted = self.pacer.wanted()
        for topic in self.subscribed - wanted:
            self.requests.remove(topic)
        for topic in wanted - self.subscribed:
            self.requests.add(topic, 1)
        self.subscribed = wanted

    def _publish(self, stream: str) -> None:
        given = self.wall() + round(1e9 * self.skew)
        header = faces(stream=stream, sent=self.sent[stream], marks={"detector": (given, given)})
        self.sent[stream] += 1
        message = Message(header)
        topics = [message.topic, *self.requests.take(message.topic)]
        for topic in topics:
            if topic.startswith(tuple(self.subscribed)) and len(self.queue) < QUEUE:
                self.queue.append((topic, self.clock.now, message))

    def _carry(self) -> None:
        if self.arriving and self.clock.now >= self.arriving[0]:
            _, topic, published, message = self.arriving
            self.arriving = None
            # As a SUB socket does, it drops what is not subscribed to any more.
            if topic.startswith(tuple(self.subscribed)):
                assert self.pacer.answered(topic.encode()).decode() == message.topic
                self._arrive(message, published)
        if self.arriving is None and self.queue:
            topic, published, message = self.queue.popleft()
            self.arriving = self.clock.now + self.seconds + self.way, topic, published, message

    def _arrive(self, message: Message, published: float) -> None:
        if self.pacer.age(message) is not None:
            self.ages.append((message.header.stream, self.clock.now - published))
        self.asked_for_all.append(self.pacer.asked_for_all(message))


def test_a_link_that_carries_all_is_left_alone() -> None:
    link = Link(0.02)
    link.run(20)
    assert not link.is_thin()
    assert len(link.ages) >= 0.99 * link.sent["cam0"] - 2
    assert all(link.asked_for_all)


@pytest.mark.parametrize("skew", [-5000.0, -0.3, 0.0, 0.3, 5000.0])
@pytest.mark.parametrize("seconds", [0.06, 0.2, 0.5, 1.0])
def test_behind_a_thin_link_nothing_is_old(seconds: float, skew: float) -> None:
    link = Link(seconds, skew=skew)
    link.run(60)
    own = link.way + seconds + 2 * STEP_S
    assert max(age for _, age in link.ages) <= own + MAX_AGE_S
    # Most of what the link could carry is fresh, and arrives.
    assert len(link.ages) > 0.3 * 60 / (seconds + link.way + INTERVAL_S)
    assert not all(link.asked_for_all)


def test_streams_take_turns_on_a_thin_link() -> None:
    link = Link(0.1, streams=5)
    link.run(60)
    shares = Counter(stream for stream, _ in link.ages)
    assert set(shares) == set(link.streams)
    assert min(shares.values()) > 0.6 * max(shares.values())


def test_a_new_stream_is_found_on_a_thin_link() -> None:
    link = Link(0.1)
    link.run(10)
    link.streams.append("new")
    link.run(60)
    assert Counter(stream for stream, _ in link.ages)["new"] > 50


def test_a_link_that_recovers_is_used_in_full_again() -> None:
    link = Link(0.3)
    link.run(10)
    assert link.is_thin()
    link.seconds = 0.005
    link.run(3)
    assert not link.is_thin()
    before = link.sent["cam0"], len(link.ages)
    link.run(10)
    assert len(link.ages) - before[1] >= link.sent["cam0"] - before[0] - 2


def test_a_long_way_is_not_taken_for_a_thin_link_for_good() -> None:
    link = Link(0.3, way=0.0)
    link.run(10)
    assert link.is_thin()
    link.seconds, link.way = 0.001, 0.03
    link.run(70)
    assert not link.is_thin()


@pytest.mark.parametrize("step", [-1.0, 1.0, 3600.0])
def test_a_clock_that_is_set_costs_a_moment(step: float) -> None:
    link = Link(0.005)
    link.run(5)
    link.skew -= step
    link.run(3)
    before = len(link.ages)
    link.run(5)
    assert len(link.ages) - before > 0.9 * 5 / INTERVAL_S - 2


def test_a_pause_of_the_subscriber_is_no_thin_link() -> None:
    link = Link(0.005)
    link.run(5)
    for _ in range(3):
        link.clock.now += 2.0
        link.next_frame = link.clock.now
        link.run(5)
        assert not link.is_thin()


def test_who_needs_few_frames_is_sent_few_of_each_stream() -> None:
    link = Link(0.001, streams=6, way=0.0)
    link.run(3)
    link.pacer.is_spared = True
    link.run(0.1)
    before = link.sent.total(), len(link.ages)
    link.run(20)
    shares = Counter(stream for stream, _ in link.ages[before[1] :])
    assert shares.total() < 0.25 * (link.sent.total() - before[0])
    assert set(shares) == set(link.streams)
    link.pacer.is_spared = False
    link.run(0.1)
    before = link.sent.total(), len(link.ages)
    link.run(5)
    assert len(link.ages) - before[1] >= link.sent.total() - before[0] - 20


def test_of_a_publisher_that_knows_no_requests_few_frames_come_all_the_same() -> None:
    link = Link(0.001)
    link.requests.add = lambda subscription, connection: None  # type: ignore[method-assign]
    link.pacer.is_spared = True
    link.run(30)
    arrived = len(link.ages)
    link.run(30)
    assert len(link.ages) - arrived >= 5


def test_a_request_is_answered_once_with_the_next_message() -> None:
    requests = Requests()
    for subscription in ("faces/0/", "once/a-1/faces/0/cam1/", "once/b-7/faces/0/", "once/junk"):
        requests.add(subscription, 1)
    assert list(requests.take("faces/0/cam2/")) == ["once/b-7/faces/0/cam2/"]
    assert list(requests.take("faces/0/cam1/")) == ["once/a-1/faces/0/cam1/"]
    assert list(requests.take("faces/0/cam1/")) == []
    requests.add("once/a-2/faces/0/cam1/", 1)
    requests.remove("once/a-2/faces/0/cam1/")
    assert list(requests.take("faces/0/cam1/")) == []


@pytest.mark.parametrize(
    ("topic", "own"),
    [
        (b"faces/0/cam1/", b"faces/0/cam1/"),
        (b"once/a-1/faces/0/cam1/", b"faces/0/cam1/"),
        (b"once/a-1", b"once/a-1"),
        (b"once//", b""),
        (b"", b""),
    ],
)
def test_an_answer_has_the_topic_of_its_message(topic: bytes, own: bytes) -> None:
    assert answered_topic(topic) == own


def test_requests_are_bounded() -> None:
    requests = Requests()
    for number in range(50):
        requests.add(f"once/{number}/faces/0/", 1)
    assert len(requests) == 32
    for number in range(5000):
        requests.add(f"once/{number}/faces/0/", number)
    assert len(requests) == 256
