"""A subscriber's connection: plain, or encrypted and rebuilt after a refused handshake."""

import itertools
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import zmq

from emostream.shared.errors import ConfigError
from emostream.shared.handshake_failures import HandshakeFailures
from emostream.shared.key_files import KeyFolder, OwnKey
from emostream.shared.local_frames import LocalFrames
from emostream.shared.local_topics import local_topic
from emostream.shared.security import HandshakeMonitor

FIRST_BACKOFF_S: Final = 0.1
# A subscriber whose key is allowed later gets in within a second.
LONGEST_BACKOFF_S: Final = 0.5
CHECK_EVERY_S: Final = 0.5


class Subscriber(Protocol):
    """What a receiver drains; `socket` changes when `maintain` returns True.

    `local` reads frames from shared memory, if they may come that way.
    """

    socket: "zmq.Socket[bytes]"
    local: LocalFrames | None

    @property
    def is_connected(self) -> bool:
        """Whether it was connected at the last `maintain`, if it monitors that."""

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic."""

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe from a topic."""

    def maintain(self, now: float) -> bool:
        """Do maintenance that is due at `now` (s, monotonic); return whether `socket` is new."""

    def close(self) -> None:
        """Close the socket."""


def resubscribe(
    subscribers: Iterable[Subscriber], had: frozenset[str], wanted: frozenset[str]
) -> None:
    """Change the subscriptions of all subscribers from the topics they `had` to `wanted`."""
    if wanted == had:
        return
    for subscriber in subscribers:
        # New topics first, so that topics covered by both continue without a gap.
        for topic in wanted - had:
            subscriber.subscribe(topic)
        for topic in had - wanted:
            subscriber.unsubscribe(topic)


class PlainSubscriber:
    """A plain SUB socket, which libzmq reconnects by itself; a `monitor` watches its connection.

    While `local` is in use, it subscribes to references to frames instead of frames.
    """

    def __init__(
        self,
        socket: "zmq.Socket[bytes]",
        monitor: HandshakeMonitor | None = None,
        local: LocalFrames | None = None,
    ) -> None:
        self.socket = socket
        self.local = local
        self._monitor = monitor
        self._topics: set[str] = set()
        self._is_local = False

    @property
    def is_connected(self) -> bool:
        """Whether a monitored socket is connected."""
        return self._monitor is not None and self._monitor.is_connected

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic."""
        self._topics.add(topic)
        self.socket.subscribe(self._subscription(topic))

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe from a topic."""
        self._topics.discard(topic)
        self.socket.unsubscribe(self._subscription(topic))

    def maintain(self, now: float) -> bool:
        """Switch between frames and references to them; leave the socket as it is."""
        if self._monitor:
            self._monitor.read()
        if self.local and self.local.is_used() != self._is_local:
            had = frozenset(map(self._subscription, self._topics))
            self._is_local = not self._is_local
            wanted = frozenset(map(self._subscription, self._topics))
            # New topics first, so that nothing is lost in between.
            for topic in wanted - had:
                self.socket.subscribe(topic)
            for topic in had - wanted:
                self.socket.unsubscribe(topic)
        return False

    def _subscription(self, topic: str) -> str:
        return local_topic(topic) if self._is_local else topic

    def close(self) -> None:
        """Close the socket."""
        if self.local:
            self.local.close()
        if self._monitor:
            self._monitor.close()
        self.socket.close()


class EncryptedSubscriber:
    """A SUB socket for one endpoint, whose publisher must have a pinned key.

    A refused socket never retries by itself. So it is replaced, at growing intervals, each time
    with the next candidate pair of keys: one of this host's and one of the publisher's. Without a
    pinned key, it stays unconnected.
    """

    def __init__(
        self,
        connect: Callable[[OwnKey | None, str], "zmq.Socket[bytes]"],
        endpoint: str,
        topics: Iterable[str],
        folder: KeyFolder,
        failures: HandshakeFailures,
    ) -> None:
        self.local: LocalFrames | None = None
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
        """Subscribe to a topic, on this and all later sockets."""
        self._topics.add(topic)
        self.socket.subscribe(topic)

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe from a topic."""
        self._topics.discard(topic)
        self.socket.unsubscribe(topic)

    def maintain(self, now: float) -> bool:
        """Replace the socket if it was refused, or if one of its keys is no longer valid."""
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
        """Return the key pairs to try, most likely first; empty if the files are unusable."""
        try:
            pairs = itertools.product(self._folder.usable(), self._folder.pinned(self._endpoint))
            return list(pairs)
        except ConfigError:
            return []
