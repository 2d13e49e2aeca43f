"""Presentation timestamps (pts) of a source over all its openings."""

from typing import Final, Protocol

# A step in a live source's times beyond this, or backwards, is a break in them and no pause.
MAX_STEP_NS: Final = 60_000_000_000
FIRST_STEP_NS: Final = 40_000_000


class SourcePts(Protocol):
    """Turns the times of one opening after another into the pts of one source, ns."""

    def next(self, raw: int) -> int:
        """Return the pts, ns, of a picture whose time in this opening is `raw` ns."""

    def reopen(self, silence: float) -> None:
        """Begin another opening, `silence` seconds after the last picture came."""


class MonotonicPts:
    """The pts of a live source, which only rise: its clock is repaired and pauses are kept."""

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
        """Let the time pass in which no picture came."""
        self._pts += max(0, round(silence * 1e9))


class RecordingPts:
    """The pts of a recording, which are its own times; each loop follows the one before.

    What a file says is never corrected: times may repeat, go back, and pause for any time.
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
        """Begin the next loop where the last one ended."""
        self._begin, self._last = self._end, None
