"""Lossless delivery at its source: what was given is held until it was confirmed as written."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from emostream.shared.config import Lossless
from emostream.shared.errors import DeliveryError
from emostream.shared.messages import Credit, Frame, Message

# Without progress for so many seconds it is asked what was written; probes and ends are repeated
# at this interval.
STALLED: Final = 0.5
EVERY: Final = 0.05


@dataclass(slots=True)
class _Ledger:
    """One stream: what is held, what each consumer confirmed, and the round of probes."""

    blank: Frame
    moved: float  # when it was last confirmed, or given again
    advanced: float  # when it was last confirmed
    held: deque[Message] = field(default_factory=deque)
    confirmed: dict[str, Credit] = field(default_factory=dict)
    asking: bool = True
    round: int = 0  # the first pid of this round of probes
    answered: set[str] = field(default_factory=set)  # the consumers, in this round
    sent: float = float("-inf")
    ended: bool = False  # whether the end was added


class Window:
    """Holds the frames of all streams that are on their way, and knows what is to be sent.

    Frames go out once `consumers` have all answered a probe, which shows that the way to each of
    them is open; so nobody sleeps for luck. `blanks` are an empty header for each stream, of the
    run in question. Where nothing moves for half a second, probes go out until they come through,
    and everything that was not confirmed is given again. Times are s on the steady `clock`; `pid`
    gives the first probe's number, in ms since the epoch, so that it rises over restarts too.
    """

    def __init__(
        self,
        blanks: Sequence[Frame],
        settings: Lossless,
        clock: Callable[[], float] = time.monotonic,
        pid: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._pid = pid
        self._last_pid = 0
        self._ledgers = {blank.stream: _Ledger(blank, clock(), clock()) for blank in blanks}

    @property
    def has_room(self) -> bool:
        """Whether one more frame may be added: all consumers answered, and not all is ended."""
        ledgers = self._ledgers.values()
        held = sum(len(ledger.held) for ledger in ledgers)
        started = all(len(ledger.confirmed) == len(self._consumers) for ledger in ledgers)
        ended = all(ledger.ended or self._is_over(ledger) for ledger in ledgers)
        return started and not ended and held < self._settings.window

    @property
    def is_done(self) -> bool:
        """Whether every consumer confirmed the end of every stream."""
        return all(map(self._is_over, self._ledgers.values()))

    def skips(self, stream: str, seq: int) -> bool:
        """Whether the frame was written before this capture was started."""
        return seq < self._base(self._ledgers[stream])

    def add(self, message: Message) -> list[Message]:
        """Hold a frame, or a stream's end, and return what is to be sent: it, or nothing yet."""
        ledger = self._ledgers[message.header.stream]
        ledger.ended = message.header.end
        if not ledger.held:
            ledger.moved = ledger.advanced = self._clock()
        ledger.held.append(message)
        return [] if ledger.asking else [message]

    def credit(self, header: Credit) -> None:
        """Take what a consumer confirms, or answers to a probe."""
        ledger = self._ledgers.get(header.stream)
        if (
            ledger is None
            or header.run != ledger.blank.run
            or header.consumer not in self._consumers
        ):
            return
        if header.pid >= ledger.round > 0:
            ledger.answered.add(header.consumer)
        known = ledger.confirmed.get(header.consumer)
        if known is None or header.seq > known.seq or (header.end and not known.end):
            ledger.confirmed[header.consumer] = header
            ledger.moved = ledger.advanced = self._clock()
        base = self._base(ledger)
        while ledger.held and (ledger.held[0].header.seq < base or self._is_over(ledger)):
            ledger.held.popleft()

    def due(self) -> list[Message]:
        """Return what is to be sent now. DeliveryError where nothing moved for too long."""
        now = self._clock()
        return [message for ledger in self._ledgers.values() for message in self._due(ledger, now)]

    def _due(self, ledger: _Ledger, now: float) -> Iterator[Message]:
        waits = bool(ledger.held) or not ledger.confirmed
        if self._is_over(ledger) or not waits:
            return
        if now - ledger.advanced > self._settings.stall_timeout:
            raise DeliveryError(self._complaint(ledger))
        if not ledger.asking and now - ledger.moved > STALLED:
            ledger.asking, ledger.round = True, 0
            ledger.answered.clear()
        if ledger.asking and len(ledger.answered) == len(self._consumers):
            ledger.asking, ledger.round = False, 0
            ledger.moved = now
            yield self._probe(ledger)
            yield from ledger.held
        elif now - ledger.sent >= EVERY:
            ledger.sent = now
            if ledger.asking:
                yield self._probe(ledger)
            elif ledger.held[0].header.end:
                yield ledger.held[0]

    def _probe(self, ledger: _Ledger) -> Message:
        self._last_pid = max(self._last_pid + 1, self._pid())
        ledger.round = ledger.round or self._last_pid
        base = self._base(ledger)
        known = next(
            (credit for credit in ledger.confirmed.values() if credit.seq == base - 1), None
        )
        states = known.states if known else {}
        header = msgspec.structs.replace(
            ledger.blank, probe=True, pid=self._last_pid, base=base, states=states
        )
        return Message(header)

    def _base(self, ledger: _Ledger) -> int:
        if len(ledger.confirmed) < len(self._consumers):
            return 0
        return min(credit.seq for credit in ledger.confirmed.values()) + 1

    def _is_over(self, ledger: _Ledger) -> bool:
        ends = sum(credit.end for credit in ledger.confirmed.values())
        return ends == len(self._consumers)

    @property
    def _consumers(self) -> Sequence[str]:
        return self._settings.credit_from

    def _complaint(self, ledger: _Ledger) -> str:
        seconds = f"{self._settings.stall_timeout:g} s"
        stream = ledger.blank.stream
        missing = [name for name in self._consumers if name not in ledger.confirmed]
        if missing:
            return (
                f"{stream}: no answer from {', '.join(missing)} for {seconds}: do all stages run?"
            )
        seq = ledger.held[0].header.seq
        return f"{stream}: frame {seq} was not written within {seconds}: a stage hangs or is gone"
