"""The sending end of the bus: it counts what it sends, and what its subscribers ask for."""

import contextlib

import zmq

from emostream.shared.bus.admission import Admission
from emostream.shared.gaps import SentCounts
from emostream.shared.messages import Message
from emostream.shared.requests import Requests
from emostream.shared.subscription_limit import SubscriptionLimit
from emostream.shared.wire import encode


class Publisher:
    """An XPUB socket bound to an endpoint. Never blocks: what a queue cannot hold is lost there."""

    def __init__(
        self, socket: "zmq.Socket[bytes]", name: str, admission: Admission | None = None
    ) -> None:
        self._socket = socket
        self._admission = admission
        self._sent = SentCounts(name)
        self._limit = SubscriptionLimit()
        self._requests = Requests()
        self.endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def send(self, message: Message) -> None:
        """Send the message. A large payload is not copied, so it must never be written again."""
        self.take_subscriptions()
        parts = encode(self._sent.counted(message))
        self._socket.send_multipart(parts, copy=False)
        for topic in self._requests.take(message.topic):
            self._socket.send_multipart([topic.encode(), *parts[1:]], copy=False)

    def take_subscriptions(self) -> None:
        """Take in what subscribers ask for; to be called now and then while nothing is sent."""
        if self._admission:
            self._admission.check()
        while int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN:
            part = self._socket.recv(copy=False)
            with contextlib.suppress(zmq.ZMQError):  # the connection has ended
                self._take_in(part, int(part.get(zmq.SRCFD)))

    def _take_in(self, part: zmq.Frame, descriptor: int) -> None:
        topic = part.bytes[1:].decode("ascii", "replace")
        # It begins with 1 where somebody subscribes, with 0 where nobody does any more.
        if not part.bytes.startswith(b"\1"):
            if self._admission:
                self._admission.remove(part)
            self._limit.remove(descriptor, len(part.bytes))
            self._requests.remove(topic)
        elif self._limit.add(descriptor, len(part.bytes)):
            if self._admission and not self._admission.admit(part, descriptor, topic):
                return
            self._requests.add(topic, descriptor)
            self._note_subscriber(descriptor)

    def _note_subscriber(self, descriptor: int) -> None:
        """Note that a connection has subscribed; only who waits for subscribers needs that."""

    def close(self, linger: int | None = None) -> None:
        """Close; what was sent goes out for `linger` ms (None: 2 s, if blocking all of it)."""
        if self._admission:
            self._admission.close()
        self._socket.close(linger)


class BlockingPublisher(Publisher):
    """Counts its subscribers and waits for the slowest: for those that give no credit."""

    def __init__(
        self, socket: "zmq.Socket[bytes]", name: str, admission: Admission | None = None
    ) -> None:
        super().__init__(socket, name, admission)
        self._subscribers: set[int] = set()

    def subscribers(self, quiet: float) -> int:
        """Return how many have subscribed so far, as soon as none does for `quiet` seconds."""
        while self._socket.poll(round(1000 * quiet)):
            self.take_subscriptions()
        return len(self._subscribers)

    def _note_subscriber(self, descriptor: int) -> None:
        self._subscribers.add(descriptor)
