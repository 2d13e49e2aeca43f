"""Encrypted sockets: who gets in, who does not, and what changes while traffic flows."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import pytest
import zmq

from emostream.shared.bus import Bus, Publisher, Subscription
from emostream.shared.config import Security
from emostream.shared.errors import ConfigError
from emostream.shared.inbox import FifoInbox
from emostream.shared.key_files import Own, Peer, PeerKey
from emostream.shared.messages import Message
from emostream.shared.security import as_client, new_key
from tests import builders
from tests.key_hosts import HOST, Host

ANY: Final = "tcp://127.0.0.1:*"
# Long enough for a peer that is let in: it is in within some ms.
REFUSED_S: Final = 0.6


@pytest.fixture(autouse=True)
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the keys of the user who runs the tests out of them."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def server(tmp_path: Path) -> Host:
    return Host(tmp_path, "server")


@pytest.fixture
def client(tmp_path: Path) -> Host:
    return Host(tmp_path, "client")


def publishing(stack: ExitStack, host: Host, endpoint: str = ANY) -> Publisher:
    bus = stack.enter_context(host.bus())
    return stack.enter_context(closing(bus.publisher(endpoint, 0)))


def listening(
    stack: ExitStack, host: Host, endpoint: str, topics: tuple[str, ...] = ("frame/",)
) -> FifoInbox:
    inbox = FifoInbox()
    bus = stack.enter_context(host.bus())
    subscription = Subscription([endpoint], topics, 0)
    stack.enter_context(closing(bus.receiver([subscription], inbox.put, lambda error: None)))
    return inbox


SEQ: Final = itertools.count()


def receives(publisher: Publisher, inbox: FifoInbox, seconds: float = 10.0) -> bool:
    """Send until something is received; return whether it was, within `seconds`."""
    return until(lambda: _sent(publisher, inbox), seconds)


def until(is_true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_true():
            return True
    return False


def send_frame(publisher: Publisher) -> None:
    publisher.send(builders.frame(next(SEQ), width=1, height=1))


def _sent(publisher: Publisher, inbox: FifoInbox) -> bool:
    send_frame(publisher)
    return bool(inbox.take(100, timeout=0.01))


def connected(stack: ExitStack, server: Host, client: Host) -> tuple[Publisher, FifoInbox]:
    """Let both hosts in at each other; return the two ends, of which the client's has received."""
    server.allow(client)
    client.allow(server)
    publisher = publishing(stack, server)
    inbox = listening(stack, client, publisher.endpoint)
    assert receives(publisher, inbox)
    return publisher, inbox


def drain(inbox: FifoInbox) -> None:
    while inbox.take(100, timeout=0.05):
        pass


def test_who_is_allowed_receives(server: Host, client: Host, stack: ExitStack) -> None:
    connected(stack, server, client)
    assert not server.failed


def test_one_hosts_processes_let_each_other_in(
    server: Host, tmp_path: Path, stack: ExitStack
) -> None:
    publisher = publishing(stack, server, f"ipc://{tmp_path}/socket")
    assert receives(publisher, listening(stack, server, publisher.endpoint))


def test_a_stranger_is_refused_until_its_key_is_allowed(
    server: Host, client: Host, stack: ExitStack
) -> None:
    client.allow(server)
    publisher = publishing(stack, server)
    inbox = listening(stack, client, publisher.endpoint)
    assert not receives(publisher, inbox, REFUSED_S)
    assert server.failed
    assert client.failed
    server.allow(client)
    assert receives(publisher, inbox, 1.0)


def test_each_side_of_a_refused_connection_logs_what_to_look_at(
    server: Host, client: Host, stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    client.allow(server)
    publisher = publishing(stack, server)
    assert not receives(publisher, listening(stack, client, publisher.endpoint), REFUSED_S)
    said = "\n".join(caplog.messages)
    assert "emostream keys list shows the allowed peers" in said
    assert "this host's key is not let in there" in said


def test_a_revoked_key_is_out_at_once_and_others_lose_nothing(
    server: Host, client: Host, tmp_path: Path, stack: ExitStack
) -> None:
    other = Host(tmp_path, "other")
    for each in (client, other):
        server.allow(each)
        each.allow(server)
    publisher = publishing(stack, server)
    revoked = listening(stack, client, publisher.endpoint)
    kept = listening(stack, other, publisher.endpoint)
    assert receives(publisher, revoked)
    assert receives(publisher, kept)
    drain(kept)
    server.revoke(client)
    first = next(SEQ) + 1
    seen: list[int] = []
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        send_frame(publisher)
        seen += [message.header.seq for message in kept.take(100, timeout=0.01)]
        if time.monotonic() < deadline - 2:  # out within 5 s: here within one
            drain(revoked)
    assert not revoked.take(1, timeout=0.1)
    seen += [message.header.seq for message in kept.take(1000, timeout=1)]
    assert seen == list(range(first, next(SEQ)))


def test_a_wrong_server_key_is_refused_and_a_later_right_one_works(
    server: Host, client: Host, tmp_path: Path, stack: ExitStack
) -> None:
    server.allow(client)
    client.allow(Host(tmp_path, "impostor"))
    publisher = publishing(stack, server)
    inbox = listening(stack, client, publisher.endpoint)
    assert not receives(publisher, inbox, REFUSED_S)
    client.keys.write_peers(())
    client.allow(server)
    assert receives(publisher, inbox, 2.0)


def test_a_publisher_that_is_revoked_is_heard_no_more(
    server: Host, client: Host, stack: ExitStack
) -> None:
    publisher, inbox = connected(stack, server, client)
    client.keys.write_peers((Peer("elsewhere", HOST, (), (PeerKey(new_key().public),)),))
    assert until(lambda: not receives(publisher, inbox, 0.2), 5)


@pytest.mark.parametrize("topic", ["frame/", "", "once/x/frame/", "once/", "emotio"])
def test_a_topic_that_is_not_allowed_is_not_sent(
    topic: str, server: Host, client: Host, stack: ExitStack
) -> None:
    server.allow(client, "emotion")
    client.allow(server)
    publisher = publishing(stack, server)
    denied = listening(stack, client, publisher.endpoint, (topic,))
    allowed = listening(stack, client, publisher.endpoint, ("emotion/",))

    def came() -> bool:
        send_frame(publisher)
        publisher.send(Message(builders.emotion()))
        return bool(allowed.take(100, timeout=0.01))

    assert until(came, 10)
    assert not until(lambda: came() and bool(denied.take(1, 0)), REFUSED_S)


@pytest.mark.parametrize("with_key", [False, True])
def test_a_plain_peer_gets_nothing_and_gives_nothing(
    with_key: bool, server: Host, client: Host, stack: ExitStack
) -> None:
    """With the server's key alone, and one that is nobody's, as without any."""
    publisher = publishing(stack, server)
    context = stack.enter_context(zmq.Context())
    socket = stack.enter_context(closing(context.socket(zmq.SUB)))
    socket.set(zmq.LINGER, 0)
    if with_key:
        socket.curve_serverkey = server.key.public.encode()
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    socket.subscribe("")
    socket.connect(publisher.endpoint)

    def came() -> bool:
        send_frame(publisher)
        return bool(socket.poll(10))

    assert not until(came, REFUSED_S)
    assert server.failed


def test_a_subscriber_does_not_fall_back_to_plain(
    client: Host, server: Host, stack: ExitStack
) -> None:
    client.allow(server)
    plain = stack.enter_context(Bus("plain"))
    publisher = stack.enter_context(closing(plain.publisher(ANY, 0)))
    assert not receives(publisher, listening(stack, client, publisher.endpoint), REFUSED_S)


def test_two_processes_with_one_key_are_both_let_in(
    server: Host, client: Host, stack: ExitStack
) -> None:
    publisher, _ = connected(stack, server, client)
    assert receives(publisher, listening(stack, client, publisher.endpoint))


def test_a_rotated_key_of_the_publisher_is_taken_up_while_it_runs(
    server: Host, client: Host, stack: ExitStack
) -> None:
    publisher, inbox = connected(stack, server, client)
    new = new_key(time.time() + 0.5)
    keys = (PeerKey(new.public), PeerKey(server.key.public))
    client.keys.write_peers((Peer("server", HOST, (), keys),))
    server.keys.write_own(Own("server", (server.key, new)))
    assert until(lambda: _sent(publisher, inbox) and time.time() > new.since + 2, 20)
    # Its old key is not what the client may expect any more: the new one is in use.
    client.keys.write_peers((Peer("server", HOST, (), keys[:1]),))
    drain(inbox)
    assert receives(publisher, inbox)


def test_keys_that_are_missing_are_named_with_the_command(tmp_path: Path, client: Host) -> None:
    none = Security(folder=str(tmp_path / "none"))
    with Bus("detector", security=none) as bus:
        with pytest.raises(ConfigError, match="emostream keys init"):
            bus.publisher("tcp://0.0.0.0:5999", 1)
    with Bus("classifier", security=client.security) as bus:
        far = Subscription(["tcp://gpu-box:5553"], ["emotion/"], 1)
        with pytest.raises(ConfigError, match="keys allow NAME KEY --host gpu-box"):
            bus.receiver([far], print, print)


def raw_subscriber(
    stack: ExitStack, server: Host, client: Host, endpoint: str
) -> "zmq.Socket[bytes]":
    """Return a socket that sends upstream what it likes, as any program may with its key."""
    context = stack.enter_context(zmq.Context())
    socket = stack.enter_context(context.socket(zmq.XSUB))
    socket.linger = 0
    as_client(socket, client.key, server.key.public)
    socket.connect(endpoint)
    return socket


def test_a_message_from_a_limited_peer_does_not_get_it_the_subscription_of_another(
    stack: ExitStack,
    server: Host,
    client: Host,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With XPUB_MANUAL, libzmq would give each subscription that waits to the next connection."""
    limited = Host(tmp_path, "limited")
    server.allow(client)
    server.allow(limited, "emotion")
    publisher = publishing(stack, server)
    first, second = (raw_subscriber(stack, server, limited, publisher.endpoint) for _ in range(2))
    other = raw_subscriber(stack, server, client, publisher.endpoint)
    for socket, topic in ((first, "emotion/a/"), (second, "emotion/b/"), (other, "event/")):
        socket.send(b"\1" + topic.encode())

    def subscribed() -> bool:
        publisher.take_subscriptions()
        assert publisher._admission
        return len(publisher._admission._connections) == 3

    assert until(subscribed, 10.0)

    def queue(socket: "zmq.Socket[bytes]", message: bytes) -> None:
        socket.send(message)
        # Taken in by libzmq, which happens with each look, and not yet by the publisher.
        until(lambda: not publisher._socket.get(zmq.EVENTS), 0.2)

    queue(first, b"\2no subscription")
    queue(other, b"\1frame/")
    queue(second, b"\1emotion/c/")
    came: dict[str, list[bytes]] = {"limited": [], "other": []}

    def receive() -> bool:
        publisher.send(builders.frame(next(SEQ), width=1, height=1))
        for name, socket in (("limited", first), ("limited", second), ("other", other)):
            while socket.poll(0):
                came[name].append(socket.recv_multipart()[0])
        return len(came["other"]) > 20

    # It was cut off with the others that waited, and is there again by itself.
    assert until(receive, 10.0)
    assert came["limited"] == []
    assert set(came["other"]) == {b"frame/cam1/"}
    said = "limited sent something other than a subscription; disconnected it"
    assert caplog.messages.count(said) == 1
