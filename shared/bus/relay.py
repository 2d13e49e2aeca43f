"""Passing messages on unparsed, from several publishers to all subscribers of one address."""

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

# Taken from one source before it is the next one's turn.
BURST: Final = 100
MAINTAIN_EVERY_S: Final = 0.05
FORGET_ENDED_EVERY_S: Final = 0.5
PARTS: Final = (2, 3)


@dataclass(frozen=True)
class Passed:
    """A message that came from the `source`: its `topic`, and its bytes in all parts.

    `is_passed` is False for one that has too few or too many parts.
    """

    source: str
    topic: str
    size: int
    is_passed: bool


class RelayPublisher(Publisher):
    """The side of a relay to which others subscribe: it counts nothing in the headers."""

    def __init__(
        self, socket: "zmq.Socket[bytes]", name: str, admission: Admission | None = None
    ) -> None:
        super().__init__(socket, name, admission)
        # Each unsubscription is told, also where another connection has the same one.
        socket.set(zmq.XPUB_VERBOSER, 1)
        self._wanted = WantedTopics()
        self._forget_at = 0.0

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """The socket, for a poller: it can be read when somebody subscribes."""
        return self._socket

    def pass_on(self, parts: list[zmq.Frame]) -> None:
        """Send a message as it came."""
        self._socket.send_multipart(parts, copy=False)

    def wanted(self, now: float) -> frozenset[str]:
        """Return what brings all of what is asked for at `now` (s, monotonic)."""
        if now >= self._forget_at:
            self._forget_at = now + FORGET_ENDED_EVERY_S
            self._wanted.forget_ended()
        return self._wanted.needed()

    # Questions for the time and requests for a message are the sources' to answer.

    def _note_subscription(self, topic: str, descriptor: int) -> None:
        too_greedy = self._wanted.add(topic, descriptor)
        if too_greedy is not None:
            end_connection(too_greedy)

    def _note_unsubscription(self, topic: str, descriptor: int) -> None:
        self._wanted.remove(topic, descriptor)


class Relay:
    """Connects `sources` (by endpoint) with the subscribers of `publisher`.

    What crosses the links from the sources is what somebody asks for here, each message once.
    """

    def __init__(self, sources: Mapping[str, Subscriber], publisher: RelayPublisher) -> None:
        self.publisher = publisher
        self._sources = sources
        self._loops = RelayLoops(sources)
        for endpoint, source in sources.items():
            source.subscribe(self._loops.marks[endpoint])
        self._asked: frozenset[str] = frozenset()
        # What each source is asked for: all of it, or nothing in a loop.
        self._asked_of = dict.fromkeys(sources, self._asked)
        self._maintain_at = 0.0
        self._poller = self._new_poller()

    @property
    def topics(self) -> frozenset[str]:
        """The subscriptions that it has at each source."""
        return self._asked

    def connected(self) -> dict[str, bool]:
        """Return for each source whether it is connected."""
        return {endpoint: source.is_connected for endpoint, source in self._sources.items()}

    def loops(self) -> frozenset[str]:
        """Return the sources that get their messages from here; nothing of them is passed on."""
        return frozenset(filter(self._loops.has, self._sources))

    def work(self, timeout: float) -> Iterator[Passed]:
        """Pass on what is there; wait up to `timeout` s for the first. Yields what came."""
        self._maintain(time.monotonic())
        ready = {socket for socket, _ in self._poller.poll(round(1000 * timeout))}
        self.publisher.take_subscriptions()
        self._ask(time.monotonic())
        for endpoint, source in self._sources.items():
            if source.socket in ready:
                yield from self._pass_on(endpoint, source.socket)

    def close(self) -> None:
        """Close the sources; the publisher is closed by its owner."""
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
