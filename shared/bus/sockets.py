"""The sockets of one process, with their bounds."""

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import zmq

from emostream.shared.addresses import is_local, shifted
from emostream.shared.bus.admission import Admission
from emostream.shared.bus.publisher import BlockingPublisher, Publisher
from emostream.shared.bus.receiver import Receiver
from emostream.shared.bus.subscriber import EncryptedSubscriber, PlainSubscriber, Subscriber
from emostream.shared.config import Security
from emostream.shared.errors import BusError, MessageError
from emostream.shared.handshake_failures import HandshakeFailures
from emostream.shared.key_files import KeyFolder, OwnKey
from emostream.shared.link_pacing import LinkPacer
from emostream.shared.messages import Message
from emostream.shared.security import (
    DISABLED,
    HandshakeMonitor,
    ZapHandler,
    as_client,
    as_server,
    check_bind,
    check_connect,
    is_encrypted,
)
from emostream.shared.send_buffers import FIRST_BYTES

# What a publisher still sends when it closes, in ms; a subscriber has nothing to send.
PUBLISHER_LINGER = 2000
# A peer that vanished without closing (a cable, a host) is noticed after these ms.
HEARTBEAT_INTERVAL = 2000
HEARTBEAT_TIMEOUT = 10_000
RECONNECT_INTERVAL = 100
RECONNECT_INTERVAL_MAX = 1000
# Who does not say who it is within these ms is cut off, and makes room for others.
HANDSHAKE_INTERVAL = 5000
BACKLOG = 256
# The queue of a live work input: it holds the old frames, so it is short.
LIVE_HWM = 4
# Results are small and read in full.
RESULTS_HWM = 1000
# What a publisher takes from its subscribers: a topic, or what opens an encrypted connection. The
# queue and the system's buffer are short: libzmq takes in subscriptions as long as they arrive
# faster than it stores them, and only then can the publisher count them and cut the sender off.
MAX_SUBSCRIPTION_BYTES = 1024
SUBSCRIPTIONS_HWM = 2
SUBSCRIPTIONS_BUFFER = 1280
MAX_MESSAGE_BYTES = 256_000_000
# What encryption and framing add to a part of a message.
OVERHEAD_BYTES = 1024
DEFAULT_SECURITY = Security()
log = logging.getLogger("emostream")


@dataclass(frozen=True)
class Subscription:
    """What to connect to: `topics` are prefixes, `hwm` the messages that a queue holds (0: all)."""

    endpoints: Sequence[str]
    topics: Sequence[str]
    hwm: int


class Bus:
    """The sockets of one process. `who` names it in errors, `instance` shifts the ports it binds.

    Raises BusError where an address cannot be bound or connected, and ConfigError where
    `security` wants keys. A part of a message that is received may have
    `max_message` bytes; the connection of one that is larger is closed, and opened again.
    """

    def __init__(
        self,
        who: str,
        *,
        instance: int = 0,
        security: Security = DEFAULT_SECURITY,
        failures: HandshakeFailures | None = None,
        max_message: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._who = who
        self._max_message = max_message
        self._instance = instance
        self._security = security
        if security.is_disabled:
            log.warning("%s: %s", who, DISABLED)
        self._failures = failures or HandshakeFailures()
        self._keys = KeyFolder(security.folder)
        self._zap: ZapHandler | None = None
        # What subscribers tell this start of the process from an earlier one by.
        self._publisher_name = secrets.token_hex(4)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.term()

    def publisher(self, endpoint: str, hwm: int, setting: str = "") -> Publisher:
        """Return a publisher bound to `endpoint` whose queue holds `hwm` messages a subscriber.

        `setting` is the one that names the endpoint, where it is not this process's own `bind`.
        """
        socket = self._context.socket(zmq.XPUB)
        socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL)
        socket.set(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT)
        admission = self._bind(socket, endpoint, hwm, setting)
        return Publisher(socket, self._publisher_name, admission)

    def blocking_publisher(self, endpoint: str, hwm: int, setting: str = "") -> BlockingPublisher:
        """Return a publisher as above that waits where a queue is full.

        Without heartbeats: a subscriber that stands still must not be given up, and lose its queue.
        """
        socket = self._context.socket(zmq.XPUB)
        socket.set(zmq.XPUB_NODROP, 1)
        admission = self._bind(socket, endpoint, hwm, setting)
        socket.set(zmq.LINGER, -1)
        return BlockingPublisher(socket, self._publisher_name, admission)

    def _bind(
        self, socket: "zmq.Socket[bytes]", endpoint: str, hwm: int, setting: str
    ) -> Admission | None:
        """Bind the socket; where that is encrypted, return whom it answers."""
        # Each subscription is told, also where another connection has the same one.
        socket.set(zmq.XPUB_VERBOSE, 1)
        socket.set(zmq.MAXMSGSIZE, MAX_SUBSCRIPTION_BYTES)
        socket.set(zmq.RCVHWM, SUBSCRIPTIONS_HWM)
        socket.set(zmq.RCVBUF, SUBSCRIPTIONS_BUFFER)
        socket.set(zmq.SNDHWM, hwm)
        socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_INTERVAL)
        socket.set(zmq.BACKLOG, BACKLOG)
        socket.set(zmq.LINGER, PUBLISHER_LINGER)
        with contextlib.ExitStack() as on_error:
            on_error.callback(socket.close, linger=0)
            endpoint = shifted(endpoint, self._instance)
            check_bind(self._security, endpoint, endpoint, self._who)
            if hwm and not is_local(endpoint):
                socket.set(zmq.SNDBUF, FIRST_BYTES)
            encrypted = is_encrypted(self._security, endpoint)
            if encrypted:
                self._encrypt(socket)
            try:
                socket.bind(endpoint)
            except zmq.ZMQError as error:
                raise self._unbindable(endpoint, error, setting) from error
            on_error.pop_all()
        if not encrypted:
            self._failures.expect(endpoint)
            return None
        monitor = HandshakeMonitor(socket, endpoint, self._failures)
        return Admission(socket, self._keys, monitor)

    def _encrypt(self, socket: "zmq.Socket[bytes]") -> None:
        # Who is let in is decided before anybody can ask.
        if self._zap is None:
            self._zap = ZapHandler(self._context, self._keys)
        as_server(socket, self._keys.current())
        # Nothing is sent on a subscription before it was admitted, nor after it was taken back.
        socket.set(zmq.XPUB_MANUAL, 1)

    def receiver(
        self,
        subscriptions: Sequence[Subscription],
        deliver: Callable[[Message], None],
        bad: Callable[[MessageError], None],
        pacer: LinkPacer | None = None,
    ) -> Receiver:
        """Return a receiver whose thread calls `deliver` for a message, `bad` for a broken one.

        With a `pacer`, that says which topics to subscribe to, instead of the subscriptions.
        """
        with contextlib.ExitStack() as on_error:
            subscribers: list[Subscriber] = []
            for item in subscriptions:
                for subscriber in self._subscribers(item, () if pacer else item.topics):
                    subscribers.append(subscriber)
                    on_error.callback(subscriber.close)
            on_error.pop_all()
        return Receiver(subscribers, deliver, bad, pacer)

    def _subscribers(
        self, subscription: Subscription, topics: Sequence[str]
    ) -> Iterator[Subscriber]:
        """Yield a socket for all that are plain, and one for each that is encrypted."""
        plain = []
        for endpoint in (shifted(endpoint, 0) for endpoint in subscription.endpoints):
            check_connect(self._security, endpoint, self._who)
            if is_encrypted(self._security, endpoint):
                connect = partial(self._encrypted, endpoint, subscription.hwm)
                yield EncryptedSubscriber(connect, endpoint, topics, self._keys, self._failures)
            else:
                plain.append(endpoint)
        if plain:
            socket = self._subscribing(subscription.hwm)
            for topic in topics:
                socket.subscribe(topic)
            self._connect(socket, plain)
            yield PlainSubscriber(socket)

    def _encrypted(
        self, endpoint: str, hwm: int, own: OwnKey | None, server_key: str
    ) -> "zmq.Socket[bytes]":
        """Return a socket that connects to the holder of the key alone; to nobody without."""
        socket = self._subscribing(hwm)
        if own and server_key:
            as_client(socket, own, server_key)
            self._connect(socket, [endpoint])
        return socket

    def _subscribing(self, hwm: int) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.SUB)
        socket.set(zmq.RCVHWM, hwm)
        socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_INTERVAL)
        socket.set(zmq.MAXMSGSIZE, self._max_message + OVERHEAD_BYTES)
        # What a SUB socket sends is its subscriptions. With the default, the 1001st is dropped.
        socket.set(zmq.SNDHWM, 0)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL)
        socket.set(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT)
        socket.set(zmq.RECONNECT_IVL, RECONNECT_INTERVAL)
        socket.set(zmq.RECONNECT_IVL_MAX, RECONNECT_INTERVAL_MAX)
        return socket

    def _connect(self, socket: "zmq.Socket[bytes]", endpoints: Sequence[str]) -> None:
        for endpoint in endpoints:
            try:
                socket.connect(endpoint)
            except zmq.ZMQError as error:
                socket.close(linger=0)
                raise BusError(f"{self._who} cannot connect to {endpoint}: {error}") from error

    def _unbindable(self, endpoint: str, error: zmq.ZMQError, setting: str) -> BusError:
        if error.errno == zmq.EADDRINUSE:
            return BusError(
                f"{self._who} cannot bind {endpoint}: the port is in use. Stop the program that "
                f"has it (another emostream?), or set {setting or f'{self._who}.bind'} to another"
            )
        return BusError(f"{self._who} cannot bind {endpoint}: {error}")
