"""Presentation timestamps (pts) of a source across reopenings."""

from typing import Final, Protocol

# A larger step in a live source's times, or a backward one, is a discontinuity and not a pause.
MAX_STEP_NS: Final = 60_000_000_000
FIRST_STEP_NS: Final = 40_000_000


class SourcePts(Protocol):
    """Converts the times of consecutive openings to the pts of one source, ns."""

    def next(self, raw: int) -> int:
        """Return the pts, ns, of a picture whose time in this opening is `raw` ns."""

    def reopen(self, silence: float) -> None:
        """Start another opening, `silence` seconds after the last picture arrived."""


class MonotonicPts:
    """The pts of a live source, which only increase: clock jumps are fixed, pauses are kept."""

    def __init__(self) -> None:
        self._pts = 0
        self._raw: int | None = None
        self._step = FIRST_STEP_NS

    def next(self, raw: int) -> int:
        """Return the pts, ns, of a picture whose time in this opening is `raw` ns."""
        if self._raw is None:
            self._pts = max(self._pts, raw)
        elif 0 < raw - self._raw < MAX_STEP_NS:
            self._step = raw - self._raw
            self._pts += self._step
        else:
            self._pts += self._step
        self._raw = raw
        return self._pts

    def reopen(self, silence: float) -> None:
        """Advance by the time without pictures."""
        self._pts += max(0, round(silence * 1e9))


class RecordingPts:
    """The pts of a recording, which are its own times; each loop follows the previous one.

    A file's times are never corrected: they may repeat, go back, and pause for any time.
    """

    def __init__(self) -> None:
        self._begin = self._end = 0
        self._last: int | None = None
        self._step = FIRST_STEP_NS

    def next(self, raw: int) -> int:
        """Return the pts, ns, of a picture whose time in this opening is `raw` ns."""
        if self._last is not None and raw > self._last:
            self._step = raw - self._last
        self._last = raw
        pts = self._begin + raw
        self._end = max(self._end, pts + self._step)
        return pts

    def reopen(self, silence: float) -> None:
        """Start the next loop where the last one ended."""
        self._begin, self._last = self._end, None
