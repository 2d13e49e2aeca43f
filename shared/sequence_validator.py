"""Checks that the counters in a stream's messages are plausible."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from emostream.shared.errors import MessageError
from emostream.shared.messages import AnyHeader, Message
from emostream.shared.sequences import is_of_stream, sequence_part

# A jump ahead is plausible up to MAX_LEAP frames, plus MAX_RATE for each second of silence.
MAX_LEAP: Final = 10_000
MAX_RATE: Final = 1000
# A capture's clock may be set while it runs; for the first message, it is compared with ours.
MAX_CLOCK_LEAP_S: Final = 3600.0
MAX_CLOCK_DIFFERENCE_S: Final = 86_400.0
# This many consecutive messages are accepted, wherever they are.
PROBATION: Final = 3
# How much of earlier silence still counts one message later, because the backlog of a process that
# was stopped arrives first.
SILENCE_KEPT: Final = 0.999


@dataclass(frozen=True, slots=True)
class _Position:
    """The position of a message: its counts in the run and at its publisher, its time in ns."""

    run: str
    seq: int
    sent: int
    t: int
    publisher: str


@dataclass(slots=True)
class _Sequence:
    """The sequence of one topic and part: the last message, and candidates for a new sequence."""

    last: _Position
    arrived: float
    silence: float = 0.0
    other: _Position | None = None
    others: int = 0

    def note_arrival(self, now: float) -> None:
        self.silence = SILENCE_KEPT * self.silence + now - self.arrived
        self.arrived = now

    def believe(self, position: _Position) -> None:
        self.last, self.other, self.others = position, None, 0

    def is_confirmed(self, position: _Position, silence: float) -> bool:
        """Whether the position continues a series of messages that does not follow the last one."""
        other = self.other
        follows = other is not None and not (
            _leaps(other, position, silence) or _goes_back(other, position)
        )
        self.others = self.others + 1 if follows else 1
        self.other = position
        return self.others >= PROBATION


class SequenceValidator:
    """Refuses messages with implausible jumps in `seq`, `sent` or `t`.

    One such message would otherwise count as the newest forever. As in RFC 3550 (A.1), it is on
    probation: the sequence continues there only after several consecutive messages. A lower number
    is not a reason to refuse a message, because lossless delivery repeats frames; the sequence goes
    back in the same way. Times are s on the steady `clock`, `wall` is ns since the epoch.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._sequences: dict[tuple[str, int], _Sequence] = {}

    def check(self, message: Message) -> bool:
        """Return True if a frame's message continues from the last one, False if it starts over.

        Raises MessageError, with the reason `leap`, for an implausible message.
        """
        header = message.header
        key = (message.topic, sequence_part(header))
        position = _Position(header.run, header.seq, header.sent, header.t, header.publisher)
        now = self._clock()
        sequence = self._sequences.get(key)
        if sequence is None:
            # Nothing is known about earlier messages, so only the clock can be compared.
            start = replace(position, t=self._wall())
            sequence = self._sequences[key] = _Sequence(start, now)
            slack = MAX_CLOCK_DIFFERENCE_S - MAX_CLOCK_LEAP_S
        else:
            sequence.note_arrival(now)
            slack = sequence.silence
        plausible = not _leaps(sequence.last, position, slack)
        if plausible and not _goes_back(sequence.last, position):
            sequence.believe(position)
        elif sequence.is_confirmed(position, slack):
            sequence.believe(position)
            return False
        elif not plausible:
            raise MessageError("leap", _difference(sequence.last, header))
        return True

    def check_sum(self, message: Message) -> None:
        """Check a message with the number of frames so far, sent while there are no frames.

        Raises MessageError, with the reason `leap`, if the number is implausible.
        """
        header = message.header
        sequence = self._sequences.get((message.topic, sequence_part(header)))
        if sequence is None:
            return
        slack = sequence.silence + self._clock() - sequence.arrived
        position = _Position(header.run, header.base, header.sent, header.t, header.publisher)
        if _leaps(sequence.last, position, slack):
            raise MessageError("leap", _difference(sequence.last, header))

    def forget(self, stream: str) -> None:
        """Forget the stream."""
        for key in [key for key in self._sequences if is_of_stream(key[0], stream)]:
            del self._sequences[key]


def _goes_back(last: _Position, position: _Position) -> bool:
    return position.run == last.run and position.seq < last.seq


def _leaps(last: _Position, position: _Position, silence: float) -> bool:
    """Whether the position is implausible after `silence` seconds."""
    # Each publisher has its own count, and two may answer alternately.
    frames = max(
        position.seq - last.seq if position.run == last.run else 0,
        position.sent - last.sent if position.publisher == last.publisher else 0,
    )
    later = (position.t - last.t) / 1e9
    return frames > MAX_LEAP + MAX_RATE * silence or later > MAX_CLOCK_LEAP_S + silence


def _difference(last: _Position, header: AnyHeader) -> str:
    before = f"after seq {last.seq}, sent {last.sent}, t {last.t}"
    return f"{header.stream}: seq {header.seq}, sent {header.sent}, t {header.t} {before}"
