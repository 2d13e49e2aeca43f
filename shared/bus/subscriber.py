"""A subscriber's connection: plain, or encrypted and built again where a handshake was refused."""

import itertools
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import zmq

from emostream.shared.errors import ConfigError
from emostream.shared.handshake_failures import HandshakeFailures
from emostream.shared.key_files import KeyFolder, OwnKey
from emostream.shared.security import HandshakeMonitor

FIRST_BACKOFF_S: Final = 0.1
# A key that is allowed later lets a subscriber in within a second.
LONGEST_BACKOFF_S: Final = 0.5
CHECK_EVERY_S: Final = 0.5


class Subscriber(Protocol):
    """What a receiver drains; `socket` is another one after `maintain` returned True."""

    socket: "zmq.Socket[bytes]"

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection, as of the last `maintain`, where it watches for that."""

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic."""

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe from a topic."""

    def maintain(self, now: float) -> bool:
        """Do what is due at `now` (s, monotonic); return whether there is a new socket."""

    def close(self) -> None:
        """Close the socket."""


def resubscribe(
    subscribers: Iterable[Subscriber], had: frozenset[str], wanted: frozenset[str]
) -> None:
    """Subscribe all of them to the `wanted` topics, of which they `had` some."""
    if wanted == had:
        return
    for subscriber in subscribers:
        # The new first: what both cover continues without a gap.
        for topic in wanted - had:
            subscriber.subscribe(topic)
        for topic in had - wanted:
            subscriber.unsubscribe(topic)


class PlainSubscriber:
    """A SUB socket as it is: libzmq connects it again by itself. With a `monitor` it is watched."""

    def __init__(
        self, socket: "zmq.Socket[bytes]", monitor: HandshakeMonitor | None = None
    ) -> None:
        self.socket = socket
        self._monitor = monitor
        self.subscribe = socket.subscribe
        self.unsubscribe = socket.unsubscribe

    @property
    def is_connected(self) -> bool:
        """Whether the endpoint of a socket that is watched is connected."""
        return self._monitor is not None and self._monitor.is_connected

    def maintain(self, now: float) -> bool:
        """Leave the socket as it is."""
        if self._monitor:
            self._monitor.read()
        return False

    def close(self) -> None:
        """Close the socket."""
        if self._monitor:
            self._monitor.close()
        self.socket.close()


class EncryptedSubscriber:
    """A SUB socket for one endpoint, whose publisher must have a key that is pinned.

    A socket that was refused never retries by itself. So it is replaced, at growing intervals, each
    time with the next pair of keys that may be the right one: one of this host's, one of the
    publisher's. Without a key that is pinned it stays unconnected.
    """

    def __init__(
        self,
        connect: Callable[[OwnKey | None, str], "zmq.Socket[bytes]"],
        endpoint: str,
        topics: Iterable[str],
        folder: KeyFolder,
        failures: HandshakeFailures,
    ) -> None:
        self._connect = connect
        self._endpoint = endpoint
        self._topics = set(topics)
        self._folder = folder
        self._failures = failures
        self._attempt = 0
        self._backoff = FIRST_BACKOFF_S
        self._rebuild_at = float("inf")
        self._check_at = 0.0
        self._open()

    @property
    def is_connected(self) -> bool:
        """Whether the publisher is connected."""
        return self._monitor.is_connected

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic, with each new socket too."""
        self._topics.add(topic)
        self.socket.subscribe(topic)

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe from a topic."""
        self._topics.discard(topic)
        self.socket.unsubscribe(topic)

    def maintain(self, now: float) -> bool:
        """Replace the socket where it was refused, or where one of its keys no longer counts."""
        handshakes = self._monitor.read()
        if handshakes.succeeded:
            self._backoff, self._rebuild_at = FIRST_BACKOFF_S, float("inf")
        elif handshakes.failed and self._rebuild_at == float("inf"):
            self._rebuild_at = now + self._backoff
            self._backoff = min(2 * self._backoff, LONGEST_BACKOFF_S)
            self._attempt += 1
        if now >= self._check_at:
            self._check_at = now + CHECK_EVERY_S
            pairs = self._pairs()
            if self._pair not in pairs and (pairs or self._pair):
                self._rebuild_at = now
        if now < self._rebuild_at:
            return False
        self.close()
        self._open()
        return True

    def close(self) -> None:
        """Close the socket and its monitor."""
        self._monitor.close()
        self.socket.close(linger=0)

    def _open(self) -> None:
        pairs = self._pairs()
        self._rebuild_at = float("inf")
        self._pair = pairs[self._attempt % len(pairs)] if pairs else None
        self.socket = self._connect(*(self._pair or (None, "")))
        self._monitor = HandshakeMonitor(self.socket, self._endpoint, self._failures)
        for topic in self._topics:
            self.socket.subscribe(topic)

    def _pairs(self) -> list[tuple[OwnKey, str]]:
        """Return the pairs to try, the most likely first; none if the files are unusable."""
        try:
            pairs = itertools.product(self._folder.usable(), self._folder.pinned(self._endpoint))
            return list(pairs)
        except ConfigError:
            return []
