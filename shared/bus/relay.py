"""Forwards messages unparsed, from several publishers to all subscribers of one address."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import zmq

from emostream.shared.bus.admission import Admission
from emostream.shared.bus.publisher import Publisher
from emostream.shared.bus.subscriber import Subscriber, resubscribe
from emostream.shared.relay_loops import RelayLoops
from emostream.shared.subscription_limit import end_connection
from emostream.shared.wanted_topics import WantedTopics

# Messages taken from one source before the next source's turn.
BURST: Final = 100
MAINTAIN_EVERY_S: Final = 0.05
FORGET_ENDED_EVERY_S: Final = 0.5
PARTS: Final = (2, 3)


@dataclass(frozen=True)
class Passed:
    """A message from `source`: its `topic`, and the total bytes of its parts.

    `is_passed` is False if it has too few or too many parts.
    """

    source: str
    topic: str
    size: int
    is_passed: bool


class RelayPublisher(Publisher):
    """The publishing side of a relay. It does not change the headers."""

    def __init__(
        self, socket: "zmq.Socket[bytes]", name: str, admission: Admission | None = None
    ) -> None:
        super().__init__(socket, name, admission)
        self._wanted = WantedTopics()
        self._forget_at = 0.0

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """The socket, for a poller; it is readable when somebody subscribes."""
        return self._socket

    def pass_on(self, parts: list[zmq.Frame]) -> None:
        """Send a message unchanged."""
        self._socket.send_multipart(parts, copy=False)

    def wanted(self, now: float) -> frozenset[str]:
        """Return the subscriptions that cover all requests at `now` (s, monotonic)."""
        if now >= self._forget_at:
            self._forget_at = now + FORGET_ENDED_EVERY_S
            self._wanted.forget_ended()
        return self._wanted.needed()

    # The sources answer requests for the time and for single messages.

    def _note_subscription(self, topic: str, descriptor: int) -> None:
        too_greedy = self._wanted.add(topic, descriptor)
        if too_greedy is not None:
            end_connection(too_greedy)

    def _note_unsubscription(self, topic: str, descriptor: int) -> None:
        self._wanted.remove(topic, descriptor)


class Relay:
    """Connects `sources` (by endpoint) to the subscribers of `publisher`.

    Only messages that somebody subscribes to here cross the links from the sources, once each.
    """

    def __init__(self, sources: Mapping[str, Subscriber], publisher: RelayPublisher) -> None:
        self.publisher = publisher
        self._sources = sources
        self._loops = RelayLoops(sources)
        for endpoint, source in sources.items():
            source.subscribe(self._loops.marks[endpoint])
        self._asked: frozenset[str] = frozenset()
        # The subscriptions at each source: all of them, or none if the source is in a loop.
        self._asked_of = dict.fromkeys(sources, self._asked)
        self._maintain_at = 0.0
        self._poller = self._new_poller()

    @property
    def topics(self) -> frozenset[str]:
        """The current subscriptions at each source."""
        return self._asked

    def connected(self) -> dict[str, bool]:
        """Return for each source whether it is connected."""
        return {endpoint: source.is_connected for endpoint, source in self._sources.items()}

    def loops(self) -> frozenset[str]:
        """Return the sources in a loop with this relay; their messages are not forwarded."""
        return frozenset(filter(self._loops.has, self._sources))

    def work(self, timeout: float) -> Iterator[Passed]:
        """Forward waiting messages, and yield them; wait up to `timeout` s for the first."""
        self._maintain(time.monotonic())
        ready = {socket for socket, _ in self._poller.poll(round(1000 * timeout))}
        self.publisher.take_subscriptions()
        self._ask(time.monotonic())
        for endpoint, source in self._sources.items():
            if source.socket in ready:
                yield from self._pass_on(endpoint, source.socket)

    def close(self) -> None:
        """Close the sources. The owner closes the publisher."""
        for source in self._sources.values():
            source.close()

    def _pass_on(self, endpoint: str, socket: "zmq.Socket[bytes]") -> Iterator[Passed]:
        for _ in range(BURST):
            try:
                parts = socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            topic = parts[0].bytes.decode("ascii", "replace")
            if self._loops.is_mark(topic) or self._loops.has(endpoint):
                continue
            is_passed = len(parts) in PARTS
            if is_passed:
                self.publisher.pass_on(parts)
            yield Passed(endpoint, topic, sum(map(len, parts)), is_passed)

    def _ask(self, now: float) -> None:
        wanted = self.publisher.wanted(now)
        self._loops.look(wanted)
        self._asked = self._loops.others(wanted)
        for endpoint, source in self._sources.items():
            asked = frozenset() if self._loops.has(endpoint) else self._asked
            resubscribe([source], self._asked_of[endpoint], asked)
            self._asked_of[endpoint] = asked

    def _maintain(self, now: float) -> None:
        if now < self._maintain_at:
            return
        self._maintain_at = now + MAINTAIN_EVERY_S
        new = [source.maintain(now) for source in self._sources.values()]
        if any(new):
            self._poller = self._new_poller()

    def _new_poller(self) -> zmq.Poller:
        poller = zmq.Poller()
        for source in self._sources.values():
            poller.register(source.socket, zmq.POLLIN)
        poller.register(self.publisher.socket, zmq.POLLIN)
        return poller
