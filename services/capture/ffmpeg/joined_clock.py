"""Joins the clock of a recording where it restarts, as in concatenated MPEG-TS files."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeAlias

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

AnyPacket: TypeAlias = "Packet[Any]"

MAY_RESTART: Final = 0x200  # FFmpeg's AVFMT_TS_DISCONT
# MPEG's clock has 33 bits at 90 kHz. FFmpeg adds that range to times that fall below a file's
# first, so a clock that was set back may also be seen as a step of more than a day.
CLOCK_RANGE: Final = Fraction(2**33, 90_000)
LONGEST_STEP: Final = 60  # seconds; a longer step across the range is a restart


@dataclass(slots=True)
class _StreamClock:
    """The last two decoding times of a stream (s), and its current shift."""

    last: Fraction | None = None
    before: Fraction | None = None
    epoch: int = 0
    waits: bool = False  # whether it restarted before the pictures did

    def restarts(self, time: Fraction) -> bool:
        """Whether the clock was set back before `time`, ignoring a single wrong time."""
        if self.last is None:
            return False
        if self.last < CLOCK_RANGE <= time and time - self.last > LONGEST_STEP:
            return True
        return time < self.last and (self.before is None or time < self.before)

    def goes_on(self, time: Fraction) -> bool:
        """Whether `time` plausibly follows the last one."""
        return self.last is None or 0 <= time - self.last <= LONGEST_STEP

    def tick(self, time: Fraction) -> None:
        """Record the time of a packet."""
        self.before, self.last = self.last, time


class JoinedClock:
    """Rewrites the times of a file's packets so that they continue where its clock restarts.

    This applies only to containers whose clock may restart, MPEG-TS and MPEG-PS; other times are
    unchanged. The pictures of `stream` determine the shift: the first one after a restart follows
    the last one before it, and all other streams are shifted by the same amount. `restarts` are the
    times of these first pictures, in s on the joined clock; `may_restart` says whether the
    container may restart its clock.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.may_restart = bool(container.format.flags & MAY_RESTART)
        self._stream = stream.index
        self._shifts = [Fraction(0)]
        self._clocks: defaultdict[int, _StreamClock] = defaultdict(_StreamClock)
        self._end = Fraction(0)
        self.restarts: list[float] = []

    def joined(self, packets: Iterable[AnyPacket]) -> Iterator[AnyPacket]:
        """Yield the packets in their order, with their new times."""
        if not self.may_restart:
            yield from packets
            return
        held: list[AnyPacket] = []
        for packet in packets:
            is_picture = self._is_picture(packet)
            if held:
                held.append(packet)
                if is_picture:
                    # If the next packet continues as before, only a single time was damaged.
                    if not self._pictures.goes_on(_time(packet)):
                        self._restart(held[0])
                    yield from map(self._shifted, held)
                    held = []
            elif is_picture and self._pictures.restarts(_time(packet)):
                held.append(packet)
            else:
                yield self._shifted(packet)
        if held:
            self._restart(held[0])
        yield from map(self._shifted, held)

    @property
    def _pictures(self) -> _StreamClock:
        return self._clocks[self._stream]

    def _is_picture(self, packet: AnyPacket) -> bool:
        return packet.stream.index == self._stream and packet.dts is not None

    def _restart(self, first: AnyPacket) -> None:
        """Begin a new epoch with the first picture after a restart."""
        start = _time(first) if first.pts is None else first.pts * first.time_base
        self._shifts.append(self._end - start)
        self.restarts.append(float(self._end))
        for index, clock in self._clocks.items():
            if index == self._stream or clock.waits:
                clock.epoch, clock.waits = len(self._shifts) - 1, False
        self._pictures.last = self._pictures.before = None

    def _shifted(self, packet: AnyPacket) -> AnyPacket:
        clock = self._clocks[packet.stream.index]
        if packet.dts is not None:
            time = _time(packet)
            if packet.stream.index != self._stream and clock.restarts(time):
                latest = len(self._shifts) - 1
                clock.waits, clock.epoch = clock.epoch == latest, latest
            clock.tick(time)
        shift = self._shifts[clock.epoch]
        if shift:
            ticks = round(shift / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        if packet.stream.index == self._stream and packet.pts is not None:
            end = (packet.pts + (packet.duration or 0)) * packet.time_base
            self._end = max(self._end, end)
        return packet


def _time(packet: AnyPacket) -> Fraction:
    return (packet.dts or 0) * packet.time_base
