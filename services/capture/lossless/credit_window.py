"""The credit window: keeps published frames until the consumers confirm them as written."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from emostream.shared.config import Lossless
from emostream.shared.errors import DeliveryError, MessageError
from emostream.shared.messages import Credit, Frame, Message

# In seconds. After STALL_AFTER without progress, probes ask what was written; probes and ends are
# repeated at REPEAT_INTERVAL.
STALL_AFTER: Final = 0.5
REPEAT_INTERVAL: Final = 0.05


@dataclass(slots=True)
class _StreamCredit:
    """One stream: its unconfirmed frames, each consumer's credit, and the round of probes."""

    template: Frame
    progressed_at: float  # when it was last confirmed, or sent again
    credited_at: float  # when it was last confirmed
    unconfirmed: deque[Message] = field(default_factory=deque)
    confirmed: dict[str, Credit] = field(default_factory=dict)
    probing: bool = True
    round_pid: int = 0  # the first pid of this round of probes
    answered: set[str] = field(default_factory=set)  # the consumers, in this round
    sent_at: float = float("-inf")
    ended: bool = False  # whether the end was added
    added: int = -1  # the last frame that was added
    earlier: int = -1  # the last frame that an earlier start of capture may have sent


class CreditWindow:
    """Keeps the unconfirmed frames of all streams, and decides what to send.

    Frames are sent once all `consumers` have answered a probe, which shows that the path to each of
    them is connected, so no start-up delay is needed. `templates` has a header without a frame for
    each stream of this run. If there is no progress for half a second, probes are sent until they
    are answered, and everything unconfirmed is sent again. Times are seconds on the monotonic
    `clock`; `pid` is the first probe's number, in ms since the epoch, so that it increases across
    restarts.
    """

    def __init__(
        self,
        templates: Sequence[Frame],
        settings: Lossless,
        clock: Callable[[], float] = time.monotonic,
        pid: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._pid = pid
        self._last_pid = 0
        self._streams = {
            template.stream: _StreamCredit(template, clock(), clock()) for template in templates
        }

    @property
    def has_room(self) -> bool:
        """Whether a frame may be added: all consumers answered, and not all streams ended."""
        streams = self._streams.values()
        unconfirmed = sum(len(stream.unconfirmed) for stream in streams)
        started = all(len(stream.confirmed) == len(self._consumers) for stream in streams)
        ended = all(stream.ended or self._is_over(stream) for stream in streams)
        return started and not ended and unconfirmed < self._settings.window

    @property
    def is_done(self) -> bool:
        """Whether every consumer confirmed the end of every stream."""
        return all(map(self._is_over, self._streams.values()))

    def is_written(self, stream: str, seq: int) -> bool:
        """Whether the frame was written before this capture started."""
        return seq < self._base(self._streams[stream])

    def add(self, message: Message) -> list[Message]:
        """Keep a frame or a stream's end, and return what to send now: the message, or nothing."""
        stream = self._streams[message.header.stream]
        stream.ended = message.header.end
        if not stream.ended:
            stream.added = message.header.seq
        if not stream.unconfirmed:
            stream.progressed_at = stream.credited_at = self._clock()
        stream.unconfirmed.append(message)
        return [] if stream.probing else [message]

    def record_credit(self, header: Credit) -> None:
        """Record a consumer's confirmation, or its answer to a probe.

        Raises MessageError, with the reason `credit`, if it confirms frames that were not sent.
        """
        stream = self._streams.get(header.stream)
        if stream is None or header.run != stream.template.run:
            return
        if header.consumer not in self._consumers:
            return
        known = stream.confirmed.get(header.consumer)
        if known is None:
            # Frames in transit from an earlier start of capture may still be written.
            stream.earlier = max(stream.earlier, header.seq + self._settings.window)
        elif not _is_possible(stream, header):
            raise MessageError("credit", f"{header.stream}: seq {header.seq} was not sent yet")
        if header.pid >= stream.round_pid > 0:
            stream.answered.add(header.consumer)
        if known is None or header.seq > known.seq or (header.end and not known.end):
            stream.confirmed[header.consumer] = header
            stream.progressed_at = stream.credited_at = self._clock()
        base = self._base(stream)
        while stream.unconfirmed and (
            stream.unconfirmed[0].header.seq < base or self._is_over(stream)
        ):
            stream.unconfirmed.popleft()

    def due(self) -> list[Message]:
        """Return what to send now. Raises DeliveryError after too long without progress."""
        now = self._clock()
        return [message for stream in self._streams.values() for message in self._due(stream, now)]

    def _due(self, stream: _StreamCredit, now: float) -> Iterator[Message]:
        waits = bool(stream.unconfirmed) or not stream.confirmed
        if self._is_over(stream) or not waits:
            return
        if now - stream.credited_at > self._settings.stall_timeout:
            raise DeliveryError(self._stall_message(stream))
        if not stream.probing and now - stream.progressed_at > STALL_AFTER:
            stream.probing, stream.round_pid = True, 0
            stream.answered.clear()
        if stream.probing and len(stream.answered) == len(self._consumers):
            stream.probing, stream.round_pid = False, 0
            stream.progressed_at = now
            yield self._probe(stream)
            yield from stream.unconfirmed
        elif now - stream.sent_at >= REPEAT_INTERVAL:
            stream.sent_at = now
            if stream.probing:
                yield self._probe(stream)
            elif stream.unconfirmed[0].header.end:
                yield stream.unconfirmed[0]

    def _probe(self, stream: _StreamCredit) -> Message:
        self._last_pid = max(self._last_pid + 1, self._pid())
        stream.round_pid = stream.round_pid or self._last_pid
        base = self._base(stream)
        known = next(
            (credit for credit in stream.confirmed.values() if credit.seq == base - 1), None
        )
        states = known.states if known else {}
        header = msgspec.structs.replace(
            stream.template, probe=True, pid=self._last_pid, base=base, states=states
        )
        return Message(header)

    def _base(self, stream: _StreamCredit) -> int:
        if len(stream.confirmed) < len(self._consumers):
            return 0
        return min(credit.seq for credit in stream.confirmed.values()) + 1

    def _is_over(self, stream: _StreamCredit) -> bool:
        ends = sum(credit.end for credit in stream.confirmed.values())
        return ends == len(self._consumers)

    @property
    def _consumers(self) -> Sequence[str]:
        return self._settings.credit_from

    def _stall_message(self, stream: _StreamCredit) -> str:
        seconds = f"{self._settings.stall_timeout:g} s"
        name = stream.template.stream
        missing = [consumer for consumer in self._consumers if consumer not in stream.confirmed]
        if missing:
            return (
                f"{name}: no answer from {', '.join(missing)} for {seconds}: are all stages "
                "running?"
            )
        seq = stream.unconfirmed[0].header.seq
        return f"{name}: frame {seq} was not written within {seconds}: a stage hangs or has exited"


def _is_possible(stream: _StreamCredit, header: Credit) -> bool:
    """Whether the frames and the end that a consumer confirms may have been sent."""
    ended = stream.ended or stream.added <= stream.earlier
    return header.seq <= max(stream.added, stream.earlier) and (ended or not header.end)
