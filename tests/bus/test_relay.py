"""A relay on real sockets: what crosses it, what does not, and what its subscribers count."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import pytest
import zmq
from prometheus_client import CollectorRegistry

from emostream.services.cli.processes.pipeline import free_ports
from emostream.services.relay.metrics import RelayMetrics
from emostream.services.relay.process import _tell_connected
from emostream.shared.bus import Bus, Passed, Publisher, Relay, Subscription, socket_options
from emostream.shared.gaps import Gaps
from emostream.shared.health import Health
from emostream.shared.messages import Message
from emostream.shared.wire import decode
from tests import builders
from tests.conftest import fail_with
from tests.key_hosts import Host

ANY: Final = "tcp://127.0.0.1:*"
WITHIN_S: Final = 10.0


class Running:
    """A relay whose loop runs on a thread, as in its process; `passed` is what it reported."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.passed: list[Passed] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.passed += self.relay.work(0.01)

    def passed_topics(self) -> set[tuple[str, str]]:
        return {(passed.source, passed.topic) for passed in list(self.passed)}

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.relay.close()
        self.relay.publisher.close(0)


class Listener:
    """A subscriber of the relay that keeps what comes."""

    def __init__(self, stack: ExitStack, bus: Bus, endpoint: str, *topics: str) -> None:
        self.came: list[Message] = []
        subscription = Subscription([endpoint], topics, 0)
        receiver = bus.receiver([subscription], self.came.append, fail_with)
        self._closing = stack.enter_context(closing(receiver))

    def close(self) -> None:
        self._closing.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def bus(stack: ExitStack) -> Bus:
    return stack.enter_context(Bus("test"))


def publishing(stack: ExitStack, bus: Bus, endpoint: str = ANY) -> Publisher:
    return stack.enter_context(closing(bus.publisher(endpoint, 0)))


def relaying(stack: ExitStack, bus: Bus, *sources: Publisher) -> Running:
    relay = bus.relay([source.endpoint for source in sources], ANY, 1000)
    return stack.enter_context(closing(Running(relay)))


def until(is_true: Callable[[], bool], *sources: Publisher) -> None:
    """Wait until it is true, while the sources continue to take subscriptions."""
    deadline = time.monotonic() + WITHIN_S
    while not is_true():
        assert time.monotonic() < deadline
        for source in sources:
            source.take_subscriptions()
        time.sleep(0.005)


SEQ: Final = itertools.count()


def send(source: Publisher, stream: str = "a") -> None:
    """Send a frame and an emotion."""
    number = next(SEQ)
    source.send(builders.frame(number, stream=stream, width=1, height=1))
    source.send(Message(builders.emotion(seq=number, stream=stream)))


def flows(source: Publisher, listener: Listener, stream: str) -> None:
    """Send until the listener gets something of the stream."""

    def came() -> bool:
        send(source, stream)
        return any(message.header.stream == stream for message in listener.came)

    until(came)


def test_several_sources_are_on_one_address_and_nothing_that_nobody_wants(
    stack: ExitStack, bus: Bus
) -> None:
    one, other = publishing(stack, bus), publishing(stack, bus)
    running = relaying(stack, bus, one, other)
    endpoint = running.relay.publisher.endpoint
    until(lambda: all(running.relay.connected().values()))
    assert running.relay.topics == frozenset()
    listener = Listener(stack, bus, endpoint, "emotion/")
    for source, stream in ((one, "a"), (other, "b")):
        flows(source, listener, stream)
    assert running.relay.topics == {"emotion/"}
    wanted = {(one.endpoint, "emotion/a/"), (other.endpoint, "emotion/b/")}
    # A message may come before the relay reports that it passed it on.
    until(lambda: running.passed_topics() >= wanted)
    assert running.passed_topics() == wanted


def test_a_message_comes_as_it_was_sent(stack: ExitStack, bus: Bus) -> None:
    source = publishing(stack, bus)
    running = relaying(stack, bus, source)
    context = stack.enter_context(zmq.Context())
    sockets = []
    for endpoint in (source.endpoint, running.relay.publisher.endpoint):
        socket = stack.enter_context(closing(context.socket(zmq.SUB)))
        socket.set(zmq.LINGER, 0)
        socket.connect(endpoint)
        socket.subscribe("frame/")
        sockets.append(socket)

    def both() -> bool:
        send(source)
        return all(socket.poll(0) for socket in sockets)

    until(both)
    relayed = sockets[1].recv_multipart()
    direct = sockets[0].recv_multipart()
    while decode(direct).header.seq < decode(relayed).header.seq:
        direct = sockets[0].recv_multipart()
    assert relayed == direct
    until(lambda: bool(running.passed))
    assert sum(map(len, relayed)) == running.passed[0].size


def test_a_topic_flows_while_somebody_wants_it(stack: ExitStack, bus: Bus) -> None:
    source = publishing(stack, bus)
    running = relaying(stack, bus, source)
    endpoint = running.relay.publisher.endpoint
    first = Listener(stack, bus, endpoint, "frame/", "emotion/")
    second = Listener(stack, bus, endpoint, "emotion/")
    until(lambda: running.relay.topics == {"frame/", "emotion/"}, source)
    flows(source, second, "a")
    first.close()
    until(lambda: running.relay.topics == {"emotion/"}, source)
    second.close()
    until(lambda: running.relay.topics == frozenset(), source)


def test_one_message_can_be_asked_for_through_a_relay(stack: ExitStack, bus: Bus) -> None:
    source = publishing(stack, bus)
    running = relaying(stack, bus, source)
    context = stack.enter_context(zmq.Context())
    socket = stack.enter_context(closing(context.socket(zmq.SUB)))
    socket.set(zmq.LINGER, 0)
    socket.connect(running.relay.publisher.endpoint)
    socket.subscribe("once/me-1/frame/")

    def came() -> bool:
        send(source)
        return bool(socket.poll(5))

    until(came)
    assert socket.recv_multipart()[0] == b"once/me-1/frame/a/"
    for _ in range(20):
        send(source)
    assert not socket.poll(100)


def test_what_a_restarted_source_did_not_get_through_is_counted_by_its_subscribers(
    stack: ExitStack, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The relay connects again after a second, so the first messages go out before.
    monkeypatch.setattr(socket_options, "RECONNECT_INTERVAL", 1000)
    monkeypatch.setattr(socket_options, "RECONNECT_INTERVAL_MAX", 1000)
    counts = {"late": 0, "lost": 0}
    gaps = Gaps(
        lambda _, count: counts.update(late=counts["late"] + count),
        lambda _, count: counts.update(lost=counts["lost"] + count),
    )
    (port,) = free_ports(1)
    endpoint = f"tcp://127.0.0.1:{port}"
    source = publishing(stack, bus, endpoint)
    running = relaying(stack, bus, source)
    listener = Listener(stack, bus, running.relay.publisher.endpoint, "emotion/")
    flows(source, listener, "a")
    source.close(0)
    until(lambda: not any(running.relay.connected().values()))
    successor = stack.enter_context(Bus("successor"))
    source = publishing(stack, successor, endpoint)
    name = listener.came[-1].header.publisher
    for _ in range(3):
        send(source)

    def is_heard() -> bool:
        send(source)
        return listener.came[-1].header.publisher != name

    until(is_heard)
    for message in list(listener.came):
        gaps.see(message)
    first = next(message for message in listener.came if message.header.publisher != name)
    assert first.header.sent >= 3
    assert counts["lost"] == first.header.sent


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Host, Host, Host]:
    """Return a source, a relay that it lets in, and a partner that may have results of the relay.

    Each finds the other by its key alone.
    """
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    source, relay, partner = (Host(tmp_path, name) for name in ("source", "relay", "partner"))
    source.allow(relay)
    relay.allow(source)
    partner.allow(relay)
    return source, relay, partner


def test_both_sides_are_encrypted_and_a_peer_gets_its_topics_alone(
    hosts: tuple[Host, Host, Host], stack: ExitStack
) -> None:
    source_host, relay_host, partner = hosts
    source = publishing(stack, stack.enter_context(source_host.bus()))
    running = relaying(stack, stack.enter_context(relay_host.bus()), source)
    endpoint = running.relay.publisher.endpoint
    until(lambda: all(running.relay.connected().values()), source)
    bus = stack.enter_context(partner.bus())
    results = Listener(stack, bus, endpoint, "emotion/")
    frames = Listener(stack, bus, endpoint, "frame/")
    until(lambda: bool(relay_host.failed), source)
    assert running.relay.topics == frozenset()
    relay_host.allow(partner, "emotion")
    flows(source, results, "a")
    for _ in range(20):
        send(source)
    assert not frames.came
    assert running.relay.topics == {"emotion/"}
    results.close()
    until(lambda: running.relay.topics == frozenset(), source)


def test_a_plain_subscriber_gets_nothing_of_an_encrypted_relay(
    hosts: tuple[Host, Host, Host], stack: ExitStack, bus: Bus
) -> None:
    source_host, relay_host, _ = hosts
    source = publishing(stack, stack.enter_context(source_host.bus()))
    running = relaying(stack, stack.enter_context(relay_host.bus()), source)
    Listener(stack, bus, running.relay.publisher.endpoint, "emotion/")
    until(lambda: bool(relay_host.failed), source)
    assert running.relay.topics == frozenset()


def test_a_relay_that_its_source_does_not_let_in_is_not_connected(
    hosts: tuple[Host, Host, Host], stack: ExitStack
) -> None:
    source_host, relay_host, _ = hosts
    source_host.revoke(relay_host)
    source = publishing(stack, stack.enter_context(source_host.bus()))
    running = relaying(stack, stack.enter_context(relay_host.bus()), source)
    until(lambda: bool(source_host.failed and relay_host.failed), source)
    assert not any(running.relay.connected().values())
    source_host.allow(relay_host)
    until(lambda: all(running.relay.connected().values()), source)


@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_relay_in_a_loop_to_itself_passes_each_message_on_once_and_says_so(
    stack: ExitStack, bus: Bus, others: int
) -> None:
    """One message came 13,000 times otherwise, and continued forever."""
    source = publishing(stack, bus)
    own, *further = (f"tcp://127.0.0.1:{port}" for port in free_ports(1 + others))

    def begin(bind: str, *connect: str) -> Relay:
        running = Running(bus.relay(connect, bind, 1000))
        return stack.enter_context(closing(running)).relay

    # The relay gets its messages from the last of a row of relays, the first of which has its own.
    last = further[-1] if further else own
    relays = [begin(bind, before) for before, bind in itertools.pairwise([own, *further])]
    relays.append(begin(own, source.endpoint, last))
    until(lambda: any(relay.loops() for relay in relays), source)
    (found, *_) = (relay for relay in relays if relay.loops())
    health = Health(10)
    _tell_connected(found, RelayMetrics(CollectorRegistry(), found.connected()), health)
    assert "gets its messages from this relay" in str(health.missing())
    listener = Listener(stack, bus, own, "emotion/")
    flows(source, listener, "a")
    for _ in range(20):
        send(source)
        time.sleep(0.01)
    flows(source, listener, "end")
    sent = [message.header.seq for message in listener.came]
    assert sent == sorted(set(sent)), "each once"
    assert len(sent) > 20
