"""Frames through shared memory on real sockets, between processes."""

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import pytest
import zmq

from emostream.services.cli.processes.pipeline import free_ports
from emostream.shared.bus import LIVE_HWM, Bus, Subscription
from emostream.shared.clocks import Clocks
from emostream.shared.errors import MessageError
from emostream.shared.frame_memory import FrameMemory
from emostream.shared.gaps import Gaps
from emostream.shared.messages import Message
from emostream.shared.wire import decode, encode
from tests import builders
from tests.bus.test_relay import Running
from tests.key_hosts import Host
from tests.memory_ends import frame, pixels

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="only Linux has such memory"
)

ANY: Final = "tcp://127.0.0.1:*"
WITHIN_S: Final = 20.0
WIDTH: Final = 640


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class Capture:
    """A process that publishes frames."""

    def __init__(self, stack: ExitStack, endpoint: str = ANY, *, is_shared: bool = True) -> None:
        command = [sys.executable, "-m", "tests.memory_ends", endpoint, str(WIDTH)]
        self._process = subprocess.Popen(
            [*command, "on" if is_shared else "off"], stdout=subprocess.PIPE, text=True
        )
        stack.callback(self.kill)
        assert self._process.stdout is not None
        self.endpoint = self._process.stdout.readline().strip()

    def kill(self) -> None:
        """End it as `kill -9` does; it may have ended before."""
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class Source:
    """Publishes frames from this process."""

    def __init__(self, stack: ExitStack) -> None:
        bus = stack.enter_context(Bus("capture", count_local=lambda: None))
        self.publisher = stack.enter_context(closing(bus.publisher(ANY, LIVE_HWM, has_frames=True)))
        self._numbers = itertools.count()

    def frame(self) -> Message:
        """Return the next frame."""
        return frame(next(self._numbers), WIDTH)

    def send(self) -> None:
        """Send the next frame."""
        self.publisher.send(self.frame())


class Detector:
    """A subscriber, what it got, and how much of it through shared memory."""

    def __init__(self, stack: ExitStack, endpoint: str, bus: Bus | None = None) -> None:
        self.came: list[Message] = []
        self.local = self.late = self.lost = 0
        self.gaps = Gaps(self._note_late, self._note_lost)
        bus = bus or stack.enter_context(Bus("detector", count_local=self._count))
        subscription = Subscription([endpoint], ["frame/"], LIVE_HWM)
        self.deliver = self._take
        self.bad: list[MessageError] = []
        receiver = bus.receiver(
            [subscription], lambda message: self.deliver(message), self.bad.append, clocks=Clocks()
        )
        stack.enter_context(closing(receiver))

    def _count(self) -> None:
        self.local += 1

    def _note_late(self, _: Message, count: int) -> None:
        self.late += count

    def _note_lost(self, _: Message, count: int) -> None:
        self.lost += count

    def _take(self, message: Message) -> None:
        self.gaps.see(message)
        self.came.append(message)

    def check(self) -> None:
        """Fail unless every frame of each publisher came once, with its pixels, or is missing."""
        assert not self.bad
        for message in self.came[-50:]:
            assert message.payload == pixels(message.header.seq, WIDTH)
        by_publisher: dict[str, list[int]] = {}
        for message in self.came:
            by_publisher.setdefault(message.header.publisher, []).append(message.header.seq)
        for seqs in by_publisher.values():
            assert seqs == sorted(set(seqs))
        sent = sum(seqs[-1] + 1 for seqs in by_publisher.values())
        assert sent == len(self.came) + self.lost + self.late


def until(is_true: Callable[[], bool], step: Callable[[], object] = lambda: None) -> None:
    """Wait until it is true, with a step at intervals."""
    deadline = time.monotonic() + WITHIN_S
    while not is_true():
        assert time.monotonic() < deadline
        step()
        time.sleep(0.01)


def more(detector: Detector, count: int = 20, *, local: bool) -> Callable[[], bool]:
    """Return whether the next frames came, through shared memory or not."""
    start = {True: detector.local, False: len(detector.came) - detector.local}

    def did_come() -> bool:
        now = {True: detector.local, False: len(detector.came) - detector.local}
        return now[local] >= start[local] + count

    return did_come


def has_memory() -> bool:
    """Whether this process has the memory of a publisher."""
    return "memfd:emostream" in Path("/proc/self/maps").read_text("utf-8")


def test_frames_of_another_process_come_through_memory_and_a_kill_leaves_nothing(
    stack: ExitStack,
) -> None:
    (port,) = free_ports(1)
    endpoint = f"tcp://127.0.0.1:{port}"
    detector = Detector(stack, endpoint)
    for _ in range(2):
        capture = Capture(stack, endpoint)
        until(more(detector, local=True))
        assert has_memory()
        capture.kill()
        until(lambda: not has_memory())
    detector.check()
    assert len({message.header.publisher for message in detector.came}) == 2


def test_a_publisher_that_is_restarted_without_memory_is_heard_and_with_it_again(
    stack: ExitStack,
) -> None:
    (port,) = free_ports(1)
    endpoint = f"tcp://127.0.0.1:{port}"
    detector = Detector(stack, endpoint)
    for is_shared in (True, False, True):
        capture = Capture(stack, endpoint, is_shared=is_shared)
        until(more(detector, local=is_shared))
        capture.kill()
    detector.check()


def test_who_subscribes_to_frames_gets_them_whole_and_no_references(stack: ExitStack) -> None:
    capture = Capture(stack)
    outside = stack.enter_context(zmq.Context()).socket(zmq.SUB)
    stack.callback(outside.close, 0)
    outside.subscribe("frame/")
    outside.connect(capture.endpoint)
    detector = Detector(stack, capture.endpoint)
    # As an older version: it does not know offers.
    older = Detector(stack, capture.endpoint, stack.enter_context(Bus("display")))
    until(more(detector, local=True))
    for _ in range(50):
        message = decode(outside.recv_multipart())
        assert message.payload == pixels(message.header.seq, WIDTH)
    until(more(older, local=False))
    assert older.local == 0
    detector.check()
    older.check()


def test_who_follows_frames_only_at_times_gets_them_whole(stack: ExitStack) -> None:
    """A recorder would lose frames while it changes over."""
    came: list[Message] = []
    counted: list[None] = []
    capture = Capture(stack)
    detector = Detector(stack, capture.endpoint)
    until(more(detector, local=True))
    bus = stack.enter_context(Bus("recorder", count_local=lambda: counted.append(None)))
    nothing = Subscription([capture.endpoint], [], LIVE_HWM)
    recorder = bus.receiver([nothing], came.append, lambda _: None, clocks=Clocks())
    stack.enter_context(closing(recorder))
    recorder.follow(["frame/"])
    until(lambda: len(came) > 50)
    assert not counted
    assert all(message.payload == pixels(message.header.seq, WIDTH) for message in came)


def test_a_publisher_and_a_subscriber_that_require_encryption_share_no_memory(
    stack: ExitStack, tmp_path: Path
) -> None:
    here, there = Host(tmp_path, "here"), Host(tmp_path, "there")
    here.allow(there)
    there.allow(here)
    source = stack.enter_context(here.bus(count_local=lambda: None))
    publisher = stack.enter_context(closing(source.publisher(ANY, LIVE_HWM, has_frames=True)))
    read: list[None] = []
    bus = stack.enter_context(there.bus(count_local=lambda: read.append(None)))
    detector = Detector(stack, publisher.endpoint, bus)
    until(more(detector, 50, local=False), lambda: publisher.send(builders.frame()))
    assert not read


def test_through_a_relay_frames_come_whole(stack: ExitStack) -> None:
    capture = Capture(stack)
    source = stack.enter_context(Bus("relay"))
    relay = stack.enter_context(closing(Running(source.relay([capture.endpoint], ANY, 1000))))
    detector = Detector(stack, relay.relay.publisher.endpoint)
    until(more(detector, 100, local=False))
    assert detector.local == 0
    detector.check()


def test_frames_that_are_overwritten_before_they_are_read_count_as_lost(stack: ExitStack) -> None:
    """The receiving thread is held up while the publisher continues."""
    source = Source(stack)
    detector = Detector(stack, source.publisher.endpoint)
    until(more(detector, local=True), source.send)
    gate, held, take = threading.Event(), threading.Event(), detector.deliver

    def hold(message: Message) -> None:
        held.set()
        gate.wait(WITHIN_S)
        take(message)

    detector.deliver = hold
    until(held.is_set, source.send)
    for _ in range(100):
        source.send()
    detector.deliver = take
    gate.set()
    until(more(detector, local=True), source.send)
    # More than the queues hold, and not one of them with wrong pixels.
    assert detector.lost > 50
    detector.check()


@pytest.mark.parametrize("reference", [b"", b"\xc1", bytes(5000)], ids=["empty", "no map", "long"])
def test_a_hostile_reference_is_one_error_and_frames_go_on(
    stack: ExitStack, reference: bytes
) -> None:
    source = Source(stack)
    detector = Detector(stack, source.publisher.endpoint)
    until(more(detector, local=True), source.send)
    topic, packed, _ = encode(source.publisher._sent.counted(source.frame()))
    source.publisher._socket.send_multipart([b"local/" + bytes(topic), packed, reference])
    until(lambda: bool(detector.bad), source.send)
    until(more(detector, local=True), source.send)
    assert len(detector.bad) == 1
    detector.bad.clear()
    detector.check()


def test_memory_that_runs_out_loses_frames_until_they_come_whole(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(stack)
    detector = Detector(stack, source.publisher.endpoint)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    until(more(detector, local=True), source.send)
    monkeypatch.setattr(FrameMemory, "write", fail)
    until(more(detector, local=False), source.send)
    assert "No space left" in caplog.text
    detector.check()
