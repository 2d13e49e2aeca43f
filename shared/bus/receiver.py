"""The receiving end of the bus: a thread that hands on each message as it comes."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

import zmq

from emostream.shared.bus.subscriber import Subscriber
from emostream.shared.errors import MessageError
from emostream.shared.link_pacing import LinkPacer
from emostream.shared.messages import Message
from emostream.shared.requests import answered_topic
from emostream.shared.wire import decode

_POLL_MS: Final = 100
_MAINTAIN_EVERY_S: Final = 0.05


class Receiver:
    """A thread that owns SUB sockets and drains them at once into `deliver`."""

    def __init__(
        self,
        subscribers: Sequence[Subscriber],
        deliver: Callable[[Message], None],
        bad: Callable[[MessageError], None],
        pacer: LinkPacer | None = None,
    ) -> None:
        self._subscribers = subscribers
        self._deliver = deliver
        self._bad = bad
        self._pacer = pacer
        self._followed: frozenset[str] = frozenset()
        self._to_follow = self._followed
        self._maintain_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def follow(self, topics: Collection[str]) -> None:
        """Subscribe to exactly these topics soon, beside those that it began with."""
        self._to_follow = frozenset(topics)

    def close(self) -> None:
        """End the thread and close its sockets."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        poller = self._poller()
        try:
            while not self._stop.is_set():
                if self._pacer:
                    self._to_follow = self._pacer.wanted()
                self._resubscribe()
                for socket, _ in poller.poll(_POLL_MS):
                    self._receive(socket)
                if self._maintain(time.monotonic()):
                    poller = self._poller()
        except zmq.ContextTerminated:
            # The process ends without `close`: a second Ctrl-C interrupted it.
            pass
        finally:
            for subscriber in self._subscribers:
                subscriber.close()

    def _poller(self) -> zmq.Poller:
        poller = zmq.Poller()
        for subscriber in self._subscribers:
            poller.register(subscriber.socket, zmq.POLLIN)
        return poller

    def _maintain(self, now: float) -> bool:
        """Now and then, have the subscribers maintained; return whether one has a new socket."""
        if now < self._maintain_at:
            return False
        self._maintain_at = now + _MAINTAIN_EVERY_S
        new = [subscriber.maintain(now) for subscriber in self._subscribers]
        return any(new)

    def _resubscribe(self) -> None:
        wanted, had = self._to_follow, self._followed
        for subscriber in self._subscribers if wanted != had else ():
            # The new first: what both cover goes on without a gap.
            for topic in wanted - had:
                subscriber.subscribe(topic)
            for topic in had - wanted:
                subscriber.unsubscribe(topic)
        self._followed = wanted

    def _receive(self, socket: "zmq.Socket[bytes]") -> None:
        # The view keeps its frame alive, so pixels are not copied.
        parts = [memoryview(frame.buffer) for frame in socket.recv_multipart(copy=False)]
        if self._pacer:
            parts[0] = memoryview(answered_topic(bytes(parts[0])))
        try:
            self._deliver(decode(parts))
        except MessageError as error:
            self._bad(error)
