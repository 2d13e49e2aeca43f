"""Checks, counts and limits for a stage's messages between the bus and the inbox."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from emostream.shared.config import Live
from emostream.shared.duplicates import Duplicates
from emostream.shared.gaps import Gaps
from emostream.shared.health import Health
from emostream.shared.inbox import Inbox
from emostream.shared.link_pacing import LinkPacer
from emostream.shared.messages import AnyHeader, Message
from emostream.shared.metrics import STALE, StageMetrics
from emostream.shared.sequence_validator import SequenceValidator
from emostream.shared.stream_limit import StreamLimit


class Intake:
    """Passes on plausible messages from at most `live.max_streams` streams.

    `primary` is the kind of message that the stage counts. With `counts_losses`, messages lost in
    transit are counted. Receiving threads write to it, and the stage's loop reads from it. Times
    are s on the steady `clock`, `wall` is ns since the epoch.
    """

    def __init__(
        self,
        metrics: StageMetrics,
        health: Health,
        live: Live,
        primary: type[AnyHeader],
        *,
        counts_losses: bool,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._metrics = metrics
        self._health = health
        self._primary = primary
        self._counts_losses = counts_losses
        self.gaps = Gaps(self._late, metrics.lost, self._left_out)
        self._left_out_as = STALE
        self._validator = SequenceValidator(clock, wall)
        self._duplicates = Duplicates()
        self._limit = StreamLimit(live.max_streams, live.silent_after, self._evict, clock)
        self._evicted: deque[str] = deque()
        # A stream must not be evicted between its check and its message's arrival in the inbox.
        self._lock = threading.Lock()

    def take(
        self,
        message: Message,
        inbox: Inbox,
        needed: type[AnyHeader],
        pacer: LinkPacer | None = None,
    ) -> None:
        """Put the message into the inbox, unless `pacer` finds that it waited too long.

        In live delivery, duplicates from another publisher are left out and counted. The stage is
        ready while messages of the `needed` kind arrive. Raises MessageError for a message that is
        implausible or belongs to one stream too many.
        """
        header = message.header
        with self._lock:
            self._limit.admit(header.stream)
            if header.is_data and isinstance(header, needed):
                self._health.mark_arrival(header.stream)
            goes_on = self._check(message)
            age = pacer.age(message) if pacer else 0.0
            if self._counts_losses and goes_on:
                asked_for_all = pacer is None or pacer.asked_for_all(message)
                self._left_out_as = pacer.reason if pacer else STALE
                self.gaps.see(message, asked_for_all=asked_for_all)
            elif self._counts_losses:
                self.gaps.restart(message)
            # In live delivery, a probe carries the counts of a quiet stream.
            if isinstance(header, needed) and (header.is_data or not self._counts_losses):
                self._health.mark_input()
            if self._counts_losses and self._duplicates.has(header):
                self._metrics.duplicate(message)
                return
            if age is None:
                self._metrics.dropped(message, STALE)
                return
            inbox.put(message, age)

    def _check(self, message: Message) -> bool:
        """Return whether a message continues from the last one; MessageError if it cannot."""
        if message.header.is_data:
            return self._validator.check(message)
        if message.header.probe and self._counts_losses:
            self._validator.check_sum(message)
        return True

    def known(self, messages: list[Message]) -> list[Message]:
        """Return the messages without those of streams that were evicted in the meantime."""
        return [message for message in messages if message.header.stream in self._limit]

    def dropped(self, message: Message, reason: str) -> None:
        """Count a frame that waited and was dropped."""
        if message.header.stream in self._limit:
            self._metrics.dropped(message, reason)

    def gone(self) -> Iterator[str]:
        """Yield each stream to forget, once."""
        while self._evicted:
            yield self._evicted.popleft()

    def _late(self, message: Message, count: int) -> None:
        if isinstance(message.header, self._primary):
            self._metrics.late(message, count)

    def _left_out(self, message: Message, count: int) -> None:
        self._metrics.left_out(message, count, self._left_out_as)

    def _evict(self, stream: str) -> None:
        self._validator.forget(stream)
        self._duplicates.forget(stream)
        self.gaps.forget(stream)
        self._evicted.append(stream)
