"""The sending side of the bus: counts what it sends, and handles subscriptions."""

import contextlib
import time
from collections.abc import Sequence
from typing import Any, Final

import msgpack
import msgspec
import zmq

from emostream.shared.bus.admission import Admission
from emostream.shared.bus.references import References
from emostream.shared.clocks import TOPIC as CLOCK_TOPIC
from emostream.shared.gaps import SentCounts
from emostream.shared.local_topics import local_topic
from emostream.shared.messages import Buffer, Message
from emostream.shared.requests import Requests
from emostream.shared.subscription_limit import SubscriptionLimit, end_connection
from emostream.shared.wire import VERSION, encode

# How many subscriptions are handled before the next message is sent.
MOST_AT_ONCE: Final = 1000
# The first byte of everything that a subscriber sends.
SUBSCRIBES: Final = b"\1"
UNSUBSCRIBES: Final = b"\0"


class Publisher:
    """An XPUB socket bound to an endpoint. Never blocks: messages for a full queue are lost."""

    def __init__(
        self,
        socket: "zmq.Socket[bytes]",
        name: str,
        admission: Admission | None = None,
        references: References | None = None,
    ) -> None:
        self._socket = socket
        self._admission = admission
        self._references = references
        self._name = name
        self._sent = SentCounts(name)
        self._limit = SubscriptionLimit()
        self._requests = Requests()
        self._is_shifted = False
        self.endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def send(self, message: Message) -> None:
        """Send the message. A large payload is not copied, so never modify it afterward."""
        self.take_subscriptions()
        parts = encode(self._sent.counted(message))
        self._socket.send_multipart(parts, copy=False)
        for topic in self._requests.take(message.topic):
            self._socket.send_multipart([topic.encode(), *parts[1:]], copy=False)
        if self._references:
            self._send_reference(self._references, message.topic, parts)

    def take_subscriptions(self) -> None:
        """Handle subscriptions. Call this at intervals while nothing is sent."""
        if self._admission:
            self._admission.check()
        for _ in range(MOST_AT_ONCE):
            if not int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN:
                self._is_shifted = False
                return
            part = self._socket.recv(copy=False)
            try:
                descriptor = int(part.get(zmq.SRCFD))
            except zmq.ZMQError:  # the connection has ended
                self._requests.remove(part.bytes[1:].decode("ascii", "replace"))
                continue
            with contextlib.suppress(zmq.ZMQError):  # it ends now
                self._take_in(part, descriptor)

    def _take_in(self, part: zmq.Frame, descriptor: int) -> None:
        topic = part.bytes[1:].decode("ascii", "replace")
        kind = part.bytes[:1]
        if self._is_shifted or kind not in (SUBSCRIBES, UNSUBSCRIBES):
            # A message, which no valid subscriber sends. With XPUB_MANUAL, libzmq counts it as one
            # of the waiting subscriptions, and would assign each of these to the connection of the
            # next one. So none of them counts, and their senders have to reconnect.
            is_first, self._is_shifted = not self._is_shifted, self._admission is not None
            end_connection(descriptor)
            if self._admission and is_first:
                self._admission.note_message(part)
        elif kind == UNSUBSCRIBES:
            if self._admission:
                self._admission.remove(part)
            self._limit.remove(descriptor, part.bytes)
            self._note_unsubscription(topic, descriptor)
        elif self._limit.add(descriptor, part.bytes):
            if self._admission and not self._admission.admit(part, descriptor, topic):
                return
            self._note_subscription(topic, descriptor)

    def _send_reference(self, references: References, topic: str, parts: Sequence[Buffer]) -> None:
        """Send a message once more, with a reference to its payload, if somebody wants it so."""
        local = local_topic(topic)
        topics = [local] if references.are_wanted(local) else []
        topics += self._requests.take(local)
        if topics and (rest := references.replaced(parts[1:])):
            for each in topics:
                self._socket.send_multipart([each.encode(), *rest])

    def _tell_time(self, topic: str) -> None:
        """Answer a request for the time of this process on this topic."""
        answer: dict[str, Any] = {"v": VERSION, "publisher": self._name, "time": time.time_ns()}
        if self._references and (offer := self._references.offer(self.endpoint)):
            answer["shared"] = msgspec.to_builtins(offer)
        self._socket.send_multipart([topic.encode(), msgpack.packb(answer)])

    def _note_subscription(self, topic: str, descriptor: int) -> None:
        """Answer requests for the time, and store requests for a message."""
        if CLOCK_TOPIC.fullmatch(topic):
            self._tell_time(topic)
        if self._references:
            self._references.add(topic, descriptor)
        self._requests.add(topic, descriptor)

    def _note_unsubscription(self, topic: str, descriptor: int) -> None:
        """Remove a request for a message."""
        if self._references:
            self._references.remove(topic, descriptor)
        self._requests.remove(topic)

    def close(self, linger: int | None = None) -> None:
        """Close, sending pending messages for `linger` ms (None: 2 s, or no limit if blocking)."""
        if self._admission:
            self._admission.close()
        if self._references:
            self._references.close()
        self._socket.close(linger)


class BlockingPublisher(Publisher):
    """Counts its subscribers and waits for the slowest, for subscribers without credit."""

    def __init__(
        self, socket: "zmq.Socket[bytes]", name: str, admission: Admission | None = None
    ) -> None:
        super().__init__(socket, name, admission)
        self._subscribers: set[int] = set()
        self._subscribed = time.monotonic()

    def subscribers(self, quiet: float) -> int:
        """Return the number of subscribers, once there was no new one for `quiet` seconds."""
        self._subscribed = time.monotonic()
        while (left := self._subscribed + quiet - time.monotonic()) > 0:
            self._socket.poll(round(1000 * left) + 1)
            self.take_subscriptions()
        return len(self._subscribers)

    def _note_subscription(self, topic: str, descriptor: int) -> None:
        super()._note_subscription(topic, descriptor)
        # Listeners repeat their requests for the time.
        if not CLOCK_TOPIC.fullmatch(topic):
            self._subscribers.add(descriptor)
            self._subscribed = time.monotonic()
