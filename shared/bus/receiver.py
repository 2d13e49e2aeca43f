"""The receiving side of the bus: a thread that delivers each message as it arrives."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec
import zmq

from emostream.shared.bus.subscriber import Subscriber, resubscribe
from emostream.shared.clocks import CLOCK, MAX_ANSWER_BYTES, ClockAnswer, ClockQuestions, Clocks
from emostream.shared.errors import MessageError
from emostream.shared.link_pacing import LinkPacer
from emostream.shared.local_topics import full_topic
from emostream.shared.messages import Message
from emostream.shared.wire import decode, unpack

_POLL_MS: Final = 100
_MAINTAIN_EVERY_S: Final = 0.05


class Receiver:
    """A thread that owns SUB sockets and drains them immediately into `deliver`."""

    def __init__(
        self,
        subscribers: Sequence[Subscriber],
        deliver: Callable[[Message], None],
        bad: Callable[[MessageError], None],
        pacer: LinkPacer | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self._subscribers = subscribers
        self._clocks = clocks
        self._questions = [ClockQuestions(clocks) for _ in subscribers] if clocks else []
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
        """Soon subscribe to exactly these topics, in addition to the initial ones."""
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
                self._ask_for_time()
                timeout = self._pacer.poll_ms if self._pacer else _POLL_MS
                ready = {socket for socket, _ in poller.poll(timeout)}
                for number, subscriber in enumerate(self._subscribers):
                    if subscriber.socket in ready:
                        self._receive(number)
                if self._maintain(time.monotonic()):
                    poller = self._poller()
        except zmq.ContextTerminated:
            # A second Ctrl-C ended the process without `close`.
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
        """Maintain the subscribers at intervals; return whether one has a new socket."""
        if now < self._maintain_at:
            return False
        self._maintain_at = now + _MAINTAIN_EVERY_S
        new = [subscriber.maintain(now) for subscriber in self._subscribers]
        return any(new)

    def _resubscribe(self) -> None:
        wanted = self._to_follow
        resubscribe(self._subscribers, self._followed, wanted)
        self._followed = wanted

    def _receive(self, number: int) -> None:
        subscriber = self._subscribers[number]
        frames = subscriber.socket.recv_multipart(copy=False)
        # The view keeps its frame alive, so pixels are not copied.
        parts = [memoryview(frame.buffer) for frame in frames]
        topic = bytes(parts[0])
        if self._questions:
            self._questions[number].hear()
        local = subscriber.local
        if local:
            local.hear()
        if topic.startswith(CLOCK.encode()):
            self._take_time(number, topic, parts)
            return
        full = full_topic(topic) if local else None
        topic = full or topic
        parts[0] = memoryview(self._pacer.answered(topic) if self._pacer else topic)
        try:
            message = local.decode(topic, parts, is_local=bool(full)) if local else decode(parts)
            if message is None or (self._pacer and self._pacer.skips(message)):
                return
            self._deliver(self._clocks.local(message) if self._clocks else message)
        except MessageError as error:
            self._bad(error)

    def _ask_for_time(self) -> None:
        for subscriber, questions in zip(self._subscribers, self._questions, strict=False):
            if asked := questions.due():
                new, old = asked
                subscriber.subscribe(new)
                if old:
                    subscriber.unsubscribe(old)

    def _take_time(self, number: int, topic: bytes, parts: Sequence[memoryview]) -> None:
        # A subscriber to everything also gets answers that are meant for others.
        if self._questions:
            try:
                answer = msgspec.convert(unpack(parts[1], MAX_ANSWER_BYTES), ClockAnswer)
                self._questions[number].take(topic.decode(), answer)
                if local := self._subscribers[number].local:
                    local.take_offer(answer.shared)
            except MessageError as error:
                self._bad(error)
            except (ValueError, IndexError) as error:
                self._bad(MessageError("header", str(error)))
