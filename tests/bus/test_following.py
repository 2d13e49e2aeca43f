"""A receiver whose topics change while it runs: only what is asked for travels."""

import time
from collections import Counter
from collections.abc import Collection, Iterator

import pytest

from emostream.shared.bus import Bus, Publisher, Receiver, Subscription
from emostream.shared.counted_receiver import CountedReceiver
from emostream.shared.gaps import Gaps
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Message
from tests.builders import frame
from tests.conftest import fail_with


class Rig:
    """A publisher of the streams a, b and c, and an inlet that counts what it missed of each."""

    def __init__(self, bus: Bus) -> None:
        self.publisher: Publisher = bus.publisher("tcp://127.0.0.1:*", 0)
        self.inbox = FifoInbox()
        self.late: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        gaps = Gaps(
            lambda message, count: self.late.update({message.header.stream: count}),
            lambda message, count: self.lost.update({message.header.stream: count}),
        )

        def deliver(message: Message) -> None:
            gaps.see(message)
            self.inbox.put(message)

        subscription = Subscription([self.publisher.endpoint], [], 0)
        self.receiver: Receiver = bus.receiver([subscription], deliver, fail_with)
        self.inlet = CountedReceiver(self.receiver, gaps)

    def send(self) -> Counter[str]:
        """Send one frame of each stream; return how many came of each within 50 ms."""
        for stream in "abc":
            self.publisher.send(frame(stream=stream))
        came: Counter[str] = Counter()
        while got := self.inbox.take(10, timeout=0.05):
            came.update(message.header.stream for message in got)
        return came

    def until(self, streams: Collection[str]) -> None:
        """Send until exactly these streams come."""
        deadline = time.monotonic() + 30
        while set(self.send()) != set(streams):
            assert time.monotonic() < deadline


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Bus("test") as bus:
        rig = Rig(bus)
        yield rig
        rig.receiver.close()
        rig.publisher.close(0)


def test_topics_are_followed_and_left_while_it_runs(rig: Rig) -> None:
    assert rig.send() == {}
    rig.inlet.follow({"frame/b/"})
    rig.until("b")
    rig.inlet.follow({"frame/"})
    rig.until("abc")
    rig.inlet.follow({"frame/a/", "frame/c/"})
    rig.until("ac")
    rig.inlet.follow(set())
    rig.until("")


def test_a_topic_that_both_cover_has_no_gap_and_the_others_were_late(rig: Rig) -> None:
    rig.inlet.follow({"frame/"})
    rig.until("abc")
    before = rig.late.copy()
    for _ in range(3):
        rig.inlet.follow({"frame/b/"})
        rig.until("b")
        rig.inlet.follow({"frame/"})
        rig.until("abc")
    assert rig.lost.total() == 0
    assert rig.late["b"] == before["b"]
    assert rig.late["a"] > before["a"]
