"""Publishers tell their time to any peer, also through a relay and to peers with limits."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import msgpack
import pytest

from emostream.services.cli.processes.pipeline import free_ports
from emostream.shared.bus import Bus, Publisher, Subscription
from emostream.shared.clocks import ASK_LATER_S, MOST_ASKED, Clocks
from emostream.shared.errors import MessageError
from emostream.shared.messages import Message
from tests import builders
from tests.bus.test_relay import relaying
from tests.conftest import fail_with
from tests.key_hosts import Host

ANY: Final = "tcp://127.0.0.1:*"
HOUR: Final = 3_600_000_000_000
WITHIN_S: Final = 10.0


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clocks of publishers be an hour behind."""
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() - HOUR, monotonic=time.monotonic)
    monkeypatch.setattr("emostream.shared.bus.publisher.time", clock)


def listening(stack: ExitStack, bus: Bus, endpoint: str) -> tuple[list[Message], Clocks]:
    came: list[Message] = []
    clocks = Clocks()
    subscription = Subscription([endpoint], ["emotion/"], 0)
    receiver = bus.receiver([subscription], came.append, fail_with, clocks=clocks)
    stack.enter_context(closing(receiver))
    return came, clocks


def until(is_true: Callable[[], bool], source: Publisher) -> None:
    """Send until it is true."""
    deadline = time.monotonic() + WITHIN_S
    while not is_true():
        assert time.monotonic() < deadline
        marks = {"classifier": (1, 2)}
        source.send(Message(builders.emotion(t=time.time_ns() - HOUR, marks=marks)))
        time.sleep(0.01)


def is_right(came: list[Message]) -> bool:
    """Whether the last message has the time at which it was sent, by our clock."""
    captured = came[-1].header.local_t if came else None
    return captured is not None and abs(time.time_ns() - captured) < 1e9


def test_a_clock_that_is_an_hour_behind_is_measured(stack: ExitStack, behind: None) -> None:
    bus = stack.enter_context(Bus("test"))
    source = stack.enter_context(closing(bus.publisher(ANY, 0)))
    came, _ = listening(stack, bus, source.endpoint)
    until(lambda: is_right(came), source)
    # Not one of those before said anything wrong.
    told = [(m.header.local_t, m.header.t) for m in came if m.header.local_t is not None]
    assert all(abs(local - HOUR - t) < 1e9 for local, t in told)


def test_the_same_clock_changes_nothing(stack: ExitStack) -> None:
    bus = stack.enter_context(Bus("test"))
    source = stack.enter_context(closing(bus.publisher(ANY, 0)))
    came, clocks = listening(stack, bus, source.endpoint)
    until(lambda: bool(came and clocks.measured()), source)
    came.clear()
    until(lambda: len(came) > 5, source)
    assert {message.header.clock_offset for message in came} == {0}


def test_a_clock_is_measured_through_a_relay_by_a_peer_with_limits(
    stack: ExitStack, behind: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    host, relay, partner = (Host(tmp_path, name) for name in ("source", "relay", "partner"))
    host.allow(relay)
    relay.allow(host)
    relay.allow(partner, "emotion")
    partner.allow(relay)
    source = stack.enter_context(closing(stack.enter_context(host.bus()).publisher(ANY, 0)))
    running = relaying(stack, stack.enter_context(relay.bus()), source)
    endpoint = running.relay.publisher.endpoint
    came, _ = listening(stack, stack.enter_context(partner.bus()), endpoint)
    until(lambda: is_right(came) and bool(came[-1].header.clock_offset), source)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "index"),
        ([b"\xc1"], ""),
        ([b"\x91" * 5_000], "5000 bytes, more than"),
        ([msgpack.packb({"v": 1, "publisher": "p", "time": -1})], "time"),
        ([msgpack.packb({"v": 1, "publisher": ["p"], "time": 1})], "publisher"),
        ([msgpack.packb([1])], "instead of a map"),
        ([msgpack.packb({"v": 1, "publisher": "p", "time": 1}) + b"\0"], ""),
        ([msgpack.packb({n: [[]] for n in range(10**6)})], "bytes, more than"),
    ],
)
def test_what_is_no_answer_is_counted_and_messages_go_on(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch, parts: list[bytes], said: str
) -> None:
    """A peer that may publish says what it likes."""

    def lie(publisher: Publisher, topic: str) -> None:
        publisher._socket.send_multipart([topic.encode(), *parts])

    monkeypatch.setattr(Publisher, "_tell_time", lie)
    bus = stack.enter_context(Bus("test"))
    source = stack.enter_context(closing(bus.publisher(ANY, 0)))
    came: list[Message] = []
    bad: list[MessageError] = []
    subscription = Subscription([source.endpoint], ["emotion/"], 0)
    receiver = bus.receiver([subscription], came.append, bad.append, clocks=Clocks())
    stack.enter_context(closing(receiver))
    until(lambda: bool(bad), source)
    assert said in str(bad[0])
    before = len(came)
    until(lambda: len(came) > before, source)


def test_questions_do_not_wait_for_a_publisher_that_is_away(stack: ExitStack) -> None:
    """Else it would get thousands at once when it comes back."""
    bus = stack.enter_context(Bus("test"))
    source = stack.enter_context(closing(bus.publisher(ANY, 0)))
    (port,) = free_ports(1)
    away = f"tcp://127.0.0.1:{port}"
    clocks = Clocks()
    subscription = Subscription([source.endpoint, away], ["emotion/"], 0)
    receiver = bus.receiver([subscription], lambda _: None, fail_with, clocks=clocks)
    stack.enter_context(closing(receiver))
    asked: list[str] = []
    until(lambda: bool(clocks.measured()) and clocks.ask_every == ASK_LATER_S, source)
    late = stack.enter_context(closing(bus.publisher(away, 0)))
    late._note_subscription = lambda topic, descriptor: asked.append(topic)  # type: ignore[method-assign]
    receiver.follow(["event/"])
    until(lambda: late.take_subscriptions() or "event/" in asked, source)  # type: ignore[func-returns-value]
    assert len(asked) <= 3 + MOST_ASKED
