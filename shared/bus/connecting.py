"""Creates and connects the subscribing sockets of one process."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import zmq

from emostream.shared.addresses import has_name, is_local, shifted
from emostream.shared.bus.socket_options import ask_who_is_there, set_subscribing
from emostream.shared.bus.subscriber import EncryptedSubscriber, PlainSubscriber, Subscriber
from emostream.shared.config import Security
from emostream.shared.errors import BusError
from emostream.shared.handshake_failures import HandshakeFailures
from emostream.shared.key_files import KeyFolder, OwnKey
from emostream.shared.local_frames import LocalFrames
from emostream.shared.local_topics import local_topic
from emostream.shared.security import HandshakeMonitor, as_client, check_connect, is_encrypted

# A host name lookup blocks all connections of its I/O thread until a name server answers. So host
# names get their own threads, apart from the one for bound sockets and IP addresses.
NAME_THREADS: Final = 3


@dataclass(frozen=True)
class Subscription:
    """What to connect to: `topics` are prefixes, `hwm` is the queue length (0: unlimited)."""

    endpoints: Sequence[str]
    topics: Sequence[str]
    hwm: int


class Connector:
    """Connects a process's subscribing sockets, in `context`, which has 1 + NAME_THREADS threads.

    `max_message` is the largest message part in bytes. `count_local` is called with each frame that
    came through shared memory; None: none does.
    """

    def __init__(
        self,
        who: str,
        context: "zmq.Context[zmq.Socket[bytes]]",
        security: Security,
        keys: KeyFolder,
        failures: HandshakeFailures,
        max_message: int,
        count_local: Callable[[], None] | None,
    ) -> None:
        self._who = who
        self._context = context
        self._security = security
        self._keys = keys
        self._failures = failures
        self._max_message = max_message
        self._count_local = count_local
        self._name_threads = itertools.cycle(range(1, 1 + NAME_THREADS))

    def subscribers(
        self, subscription: Subscription, topics: Sequence[str], *, asks: bool
    ) -> Iterator[Subscriber]:
        """Yield subscribers to the endpoints of the subscription, at first to `topics`.

        Each encrypted endpoint has a socket, and each that may have frames in shared memory; all
        others share one. With `asks`, more topics are requested repeatedly.
        """
        shared = []
        for endpoint in (shifted(endpoint, 0) for endpoint in subscription.endpoints):
            check_connect(self._security, endpoint, self._who)
            if is_encrypted(self._security, endpoint):
                yield self._encrypted_subscriber(endpoint, subscription.hwm, topics, asks=asks)
            elif asks and self._count_local and is_local(endpoint) and _has_frames(subscription):
                local = LocalFrames(endpoint, self._max_message, self._count_local)
                yield self._plain([endpoint], subscription.hwm, topics, local, asks=asks)
            else:
                shared.append(endpoint)
        if shared:
            yield self._plain(shared, subscription.hwm, topics, asks=asks)

    def watched(self, endpoint: str, hwm: int) -> Subscriber:
        """Return a separate socket for the endpoint, which knows whether it is connected."""
        endpoint = shifted(endpoint, 0)
        check_connect(self._security, endpoint, self._who)
        if is_encrypted(self._security, endpoint):
            return self._encrypted_subscriber(endpoint, hwm, (), asks=True)
        socket = self._subscribing(hwm, asks=True)
        monitor = HandshakeMonitor(socket, endpoint, self._failures)
        self._connect(socket, [endpoint])
        return PlainSubscriber(socket, monitor)

    def _plain(
        self,
        endpoints: Sequence[str],
        hwm: int,
        topics: Sequence[str],
        local: LocalFrames | None = None,
        *,
        asks: bool,
    ) -> PlainSubscriber:
        socket = self._subscribing(hwm, asks=asks)
        subscriber = PlainSubscriber(socket, local=local)
        for topic in topics:
            subscriber.subscribe(topic)
        self._connect(socket, endpoints)
        return subscriber

    def _encrypted_subscriber(
        self, endpoint: str, hwm: int, topics: Sequence[str], *, asks: bool
    ) -> EncryptedSubscriber:
        connect = partial(self._encrypted, endpoint, hwm, asks)
        return EncryptedSubscriber(connect, endpoint, topics, self._keys, self._failures)

    def _encrypted(
        self, endpoint: str, hwm: int, asks: bool, own: OwnKey | None, server_key: str
    ) -> "zmq.Socket[bytes]":
        """Return a socket that connects only to the holder of the pinned key."""
        socket = self._subscribing(hwm, asks=asks)
        if own and server_key:
            as_client(socket, own, server_key)
            self._connect(socket, [endpoint])
        return socket

    def _subscribing(self, hwm: int, *, asks: bool) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.SUB)
        set_subscribing(socket, hwm, self._max_message)
        if asks:
            ask_who_is_there(socket)
        return socket

    def _connect(self, socket: "zmq.Socket[bytes]", endpoints: Sequence[str]) -> None:
        for endpoint in endpoints:
            thread = next(self._name_threads) if has_name(endpoint) else 0
            socket.set(zmq.AFFINITY, 1 << thread)
            try:
                socket.connect(endpoint)
            except zmq.ZMQError as error:
                socket.close(linger=0)
                raise BusError(f"{self._who} cannot connect to {endpoint}: {error}") from error


def _has_frames(subscription: Subscription) -> bool:
    """Whether frames are subscribed to from the start.

    A recorder has no topics at first, and frames only while it records. It gets them by TCP: while
    it switched, frames were lost.
    """
    return any(local_topic(topic) != topic for topic in subscription.topics)
