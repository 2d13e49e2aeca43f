"""When a subscriber takes frames from shared memory, and which of them count."""

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import msgpack
import msgspec
import pytest

from emostream.shared.errors import MessageError
from emostream.shared.frame_memory import FrameMemory
from emostream.shared.gaps import SentCounts
from emostream.shared.local_frames import SILENT_AFTER_S, LocalFrames
from emostream.shared.local_topics import full_topic, local_topic
from emostream.shared.memory_reference import Offer, Reference
from emostream.shared.messages import Buffer, Message
from emostream.shared.wire import encode
from tests import builders
from tests.builders import Clock

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="only Linux has such memory"
)

ENDPOINT: Final = "tcp://127.0.0.1:5551"
TOPIC: Final = b"frame/cam1/"


def views(parts: list[Buffer]) -> list[memoryview]:
    """Return the parts as they come from a socket."""
    return [memoryview(part) for part in parts]


class Ends:
    """A publisher's memory and what a subscriber makes of it."""

    def __init__(self, memory: FrameMemory) -> None:
        self.memory = memory
        self.clock = Clock()
        self.read = 0
        self.local = LocalFrames("tcp://localhost:5551", 1000, self._count, self.clock)
        self._sent = SentCounts("p")

    def _count(self) -> None:
        self.read += 1

    def offer(self, endpoint: str = ENDPOINT) -> None:
        """Let an answer come with an offer of the memory."""
        self.local.hear()
        self.local.take_offer(Offer(self.memory.memory, endpoint))

    def sent(self, message: Message) -> Message:
        """Return a message as the publisher sends it."""
        return self._sent.counted(message)

    def get(self, message: Message, *, is_local: bool, topic: bytes = TOPIC) -> Message | None:
        """Let a message come in full, or with a reference to its payload."""
        parts = encode(message)
        if is_local and len(parts) > 2:
            reference = self.memory.write(parts[2])
            parts[2] = msgpack.packb(msgspec.to_builtins(reference))
        self.local.hear()
        return self.local.decode(topic, views(parts), is_local=is_local)


@pytest.fixture
def ends() -> Iterator[Ends]:
    with closing(FrameMemory(3, 1000)) as memory:
        made = Ends(memory)
        with closing(made.local):
            yield made


def test_memory_is_used_from_an_offer_until_the_publisher_offers_none(ends: Ends) -> None:
    assert not ends.local.is_used()
    ends.offer()
    assert ends.local.is_used()
    ends.local.take_offer(None)
    assert not ends.local.is_used()


def test_the_offer_of_another_endpoint_came_through_a_relay(ends: Ends) -> None:
    ends.offer()
    ends.offer("tcp://127.0.0.1:5550")
    assert not ends.local.is_used()


def test_memory_that_cannot_be_opened_is_not_used(ends: Ends) -> None:
    ends.offer()
    elsewhere = msgspec.structs.replace(ends.memory.memory, token=bytes(16))
    ends.local.take_offer(Offer(elsewhere, ENDPOINT))
    assert not ends.local.is_used()


def test_a_silent_publisher_is_asked_for_full_frames(ends: Ends) -> None:
    ends.offer()
    ends.clock.now += SILENT_AFTER_S + 0.1
    assert not ends.local.is_used()
    ends.get(ends.sent(builders.frame()), is_local=False)
    assert not ends.local.is_used()
    ends.offer()
    assert ends.local.is_used()


def test_a_message_that_comes_both_ways_counts_once(ends: Ends) -> None:
    came = []
    for seq in range(9):
        message = ends.sent(builders.frame(seq))
        # As while it switches to shared memory, and back.
        ways = [[False], [False, True], [True], [False, True], [False]][seq // 2]
        came += [ends.get(message, is_local=way) for way in ways]
    assert [each.header.seq for each in came if each] == list(range(9))
    assert ends.read == 6


def test_a_message_that_the_publisher_repeats_is_not_dropped(ends: Ends) -> None:
    message = ends.sent(builders.frame())
    assert ends.get(message, is_local=True)
    assert ends.get(message, is_local=True)
    # The requested one follows the one that comes to all.
    assert ends.get(message, is_local=False, topic=b"once/n-1/frame/cam1/")


def test_messages_without_pixels_have_no_reference(ends: Ends) -> None:
    for way in (False, True):
        end = ends.get(ends.sent(builders.frame(end=True, frames=7)), is_local=way)
        assert end is not None
        assert end.header.frames == 7
    assert ends.read == 0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (b"", "msgpack"),
        (bytes(2000), "2000 bytes"),
        (msgpack.packb({}), "memory"),
        (msgpack.packb({"memory": {"pid": -1}, "at": 1, "write": 1, "size": 1}), "pid"),
        (msgpack.packb({"memory": 1, "at": 1, "write": 0, "size": 1}), "memory"),
    ],
)
def test_a_malformed_reference_is_an_error(ends: Ends, reference: bytes, said: str) -> None:
    parts = views([*encode(builders.frame())[:2], reference])
    with pytest.raises(MessageError, match=said):
        ends.local.decode(TOPIC, parts, is_local=True)


def test_a_reference_to_fewer_bytes_than_a_picture_has_is_an_error(ends: Ends) -> None:
    reference: Reference | None = ends.memory.write(b"\0\0")
    part = msgpack.packb(msgspec.to_builtins(reference))
    parts = views([*encode(builders.frame())[:2], part])
    with pytest.raises(MessageError, match="payload: 2 bytes instead of 3"):
        ends.local.decode(TOPIC, parts, is_local=True)


@pytest.mark.parametrize(
    ("full", "local"),
    [
        ("frame/", "local/frame/"),
        ("frame/a/", "local/frame/a/"),
        ("once/n-1/frame/", "once/n-1/local/frame/"),
        ("once/n-1/frame/a/", "once/n-1/local/frame/a/"),
    ],
)
def test_topics_of_frames_have_topics_of_references(full: str, local: str) -> None:
    assert local_topic(full) == local
    assert full_topic(local.encode()) == full.encode()
    assert full_topic(full.encode()) is None


@pytest.mark.parametrize("topic", ["", "faces/0/", "emotion/a/", "clock/n/", "once/n/faces/"])
def test_other_topics_have_none(topic: str) -> None:
    assert local_topic(topic) == topic
    assert full_topic(topic.encode()) is None
