"""The bus on real sockets: delivery, filtering, refusal, and staying fresh behind a slow stage."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgpack
import msgspec
import pytest
import zmq

from emostream.shared.bus import Bus, Publisher, Subscription
from emostream.shared.config import Security
from emostream.shared.errors import BusError, ConfigError, MessageError
from emostream.shared.inbox import FifoInbox, Inbox, LiveInbox
from emostream.shared.messages import Message
from emostream.shared.requests import MOST_EACH
from tests import builders

ANY = "tcp://127.0.0.1:*"


def frame(seq: int, stream: str = "a", size: int = 1) -> Message:
    return builders.frame(seq, stream=stream, width=size, height=size)


def ignore(_: MessageError) -> None:
    """Take a broken message silently."""


@contextmanager
def receiving(
    bus: Bus, endpoint: str, topic: str, inbox: Inbox, hwm: int = 0
) -> Iterator[Callable[[], bool]]:
    receiver = bus.receiver([Subscription([endpoint], [topic], hwm)], inbox.put, ignore)
    try:
        yield lambda: receiver.alive
    finally:
        receiver.close()


@contextmanager
def publishing(bus: Bus, hwm: int = 0) -> Iterator[Publisher]:
    publisher = bus.publisher(ANY, hwm)
    try:
        yield publisher
    finally:
        publisher.close()


def send_until_received(publisher: Publisher, message: Message, inbox: FifoInbox) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        publisher.send(message)
        if inbox.take(1, timeout=0.02):
            while inbox.take(1, timeout=0.05):
                pass
            return
    pytest.fail("nothing was received in 10 s")


def test_a_stream_is_received_whole_in_order_and_alone() -> None:
    inbox = FifoInbox()
    with Bus("test") as bus, publishing(bus) as publisher:
        with receiving(bus, publisher.endpoint, "frame/cam1/", inbox):
            send_until_received(publisher, frame(0, "cam1"), inbox)
            for seq in range(200):
                publisher.send(frame(seq, "cam10"))
                publisher.send(frame(seq, "cam1", size=300))
            got = [inbox.take(1, timeout=5)[0] for _ in range(200)]
    assert [message.header.seq for message in got] == list(range(200))
    assert {message.header.stream for message in got} == {"cam1"}
    assert got[0].payload is not None
    assert memoryview(got[0].payload).nbytes == 270_000


def test_a_port_in_use_is_named_with_who_asks_for_it() -> None:
    with Bus("capture") as first, publishing(first) as taken, Bus("detector") as second:
        with pytest.raises(BusError) as caught:
            second.publisher(taken.endpoint, 1)
    assert "detector" in str(caught.value)
    assert taken.endpoint in str(caught.value)


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "192.0.2.1", "gpu-box", "[::]"])
def test_a_bind_beyond_loopback_is_refused(host: str, tmp_path: Path) -> None:
    no_keys = Security(folder=str(tmp_path / "none"))
    with (
        Bus("detector", security=no_keys) as bus,
        pytest.raises(ConfigError, match="emostream keys init"),
    ):
        bus.publisher(f"tcp://{host}:5999", 1)


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:65536", "tcp://127.0.0.1:*"])
def test_a_port_that_is_none_is_refused_and_holds_nothing_up(endpoint: str) -> None:
    good = Subscription(["tcp://127.0.0.1:5999"], ["frame/"], 1)
    with pytest.raises((BusError, ConfigError)) as caught, Bus("detector") as bus:
        bus.receiver([good, Subscription([endpoint], ["frame/"], 1)], print, ignore)
    assert endpoint.rpartition(":")[2] in str(caught.value)


def test_an_instance_shifts_the_port_it_binds() -> None:
    with Bus("a") as zero, publishing(zero) as base:
        port = int(base.endpoint.rpartition(":")[2])
    if port > 65_000:
        pytest.skip("the ephemeral port leaves no room above it")
    with Bus("b", instance=3) as bus:
        publisher = bus.publisher(f"tcp://127.0.0.1:{port}", 1)
        publisher.close()
    assert publisher.endpoint.endswith(f":{port + 300}")


def test_an_instance_beyond_the_last_port_is_refused() -> None:
    with Bus("b", instance=3) as bus, pytest.raises(ConfigError, match="65600 is not a valid port"):
        bus.publisher("tcp://127.0.0.1:65300", 1)


def test_broken_messages_are_handed_over_as_such_and_survived() -> None:
    inbox, errors = FifoInbox(), list[MessageError]()
    seen = threading.Event()

    def bad(error: MessageError) -> None:
        errors.append(error)
        seen.set()

    # A picture of 10 x 10 with the pixels of one.
    wide = msgspec.structs.replace(frame(0).header, width=10, height=10)

    with Bus("test") as bus, publishing(bus) as publisher:
        subscription = Subscription([publisher.endpoint], ["frame/"], 0)
        receiver = bus.receiver([subscription], inbox.put, bad)
        send_until_received(publisher, frame(0), inbox)
        publisher.send(Message(wide, b"\0\0\0"))
        assert seen.wait(5)
        publisher.send(frame(1))
        assert inbox.take(1, timeout=5)[0].header.seq == 1
        receiver.close()
    assert errors[0].reason == "payload"


def test_a_slow_stage_works_on_fresh_frames_and_every_frame_is_accounted_for() -> None:
    dropped: list[int] = []
    inbox = LiveInbox(lambda message, _: dropped.append(message.header.seq), backlog=3)
    taken: list[int] = []
    with Bus("test") as bus, publishing(bus) as publisher:
        with receiving(bus, publisher.endpoint, "frame/", inbox, hwm=4):
            ticker = threading.Event()
            sent = 0
            while sent < 150:
                publisher.send(frame(sent, size=64))
                sent += 1
                ticker.wait(0.004)
                if sent % 10 == 0:
                    for message in inbox.take(1, timeout=0):
                        taken.append(message.header.seq)
            while rest := inbox.take(1, timeout=0.2):
                taken.append(rest[0].header.seq)
    everything = sorted(taken + dropped)
    # What was sent before the subscriber had joined never arrived; from then on nothing is missing.
    assert everything == list(range(everything[0], 150))
    assert taken == sorted(taken)


def test_a_receiver_ends_quietly_when_the_bus_closes_first() -> None:
    inbox = FifoInbox()
    with Bus("test") as bus:
        receiver = bus.receiver([Subscription(["tcp://127.0.0.1:9"], ["a"], 0)], inbox.put, ignore)
    receiver.close()
    assert not receiver.alive


def test_who_asks_for_one_message_is_sent_one_and_others_no_more_for_it() -> None:
    everything = FifoInbox()
    context = zmq.Context()
    asking = context.socket(zmq.SUB)
    with Bus("test") as bus, publishing(bus) as publisher:
        asking.connect(publisher.endpoint)
        with receiving(bus, publisher.endpoint, "frame/", everything):
            send_until_received(publisher, frame(0), everything)
            for number in range(2):
                asking.subscribe(f"once/me-{number}/frame/")
                seq = 0
                while not asking.poll(20):
                    publisher.send(frame(seq := seq + 1))
                for _ in range(10):
                    publisher.send(frame(seq := seq + 1))
                topic, header, _ = asking.recv_multipart()
                assert topic == f"once/me-{number}/frame/a/".encode()
                assert msgpack.unpackb(header)["stream"] == "a"
                assert not asking.poll(200)
                asking.unsubscribe(f"once/me-{number}/frame/")
                seqs = [message.header.seq for message in everything.take(1000, timeout=1)]
                assert seqs == list(range(1, seq + 1))
    asking.close(linger=0)
    context.term()


def test_requests_of_an_ended_connection_do_not_use_up_the_limit_of_the_next_one() -> None:
    context = zmq.Context()
    with Bus("test") as bus, publishing(bus) as publisher:
        for number in range(3):
            # Each connection gets the file descriptor of the one before.
            asking = context.socket(zmq.SUB)
            asking.connect(publisher.endpoint)
            for each in range(MOST_EACH - 1):
                asking.subscribe(f"once/{number}-{each}/frame/quiet/")
            asking.subscribe(f"once/{number}-last/frame/a/")
            seq = 0
            while not asking.poll(20):
                publisher.send(frame(seq := seq + 1))
                assert seq < 500
            asking.close(linger=0)
            for _ in range(10):
                time.sleep(0.01)
                publisher.take_subscriptions()
    context.term()
