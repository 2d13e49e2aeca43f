"""The clock by which a face is absent: the source's time without the pauses between its frames."""

from typing import Final

# A longer step of a live stream than this many of the step before is a stop.
STOP_FACTOR: Final = 3
# No more of a stop counts, ns, next to the absence that ends a track: the clock stays small
# whatever times per stream has.
LONGEST_STOP: Final = 60 * 10**9


class AbsenceClock:
    """Time, ns, in which a face could have been seen and was not.

    It runs with the frames' pts, but from one frame to the next by half of `leave_after` (ns) at
    most: so a face is away for `leave_after` only where at least two frames show that, however far
    apart frames are. Only where a live stream stops, and its frames do not come that far apart
    anyway, does the whole pause count: nobody knows who was there meanwhile.
    """

    def __init__(self, leave_after: int) -> None:
        self._most = leave_after // 2
        self._now = 0
        self._pts: int | None = None
        self._step = 0

    def at(self, pts: int, *, recorded: bool) -> int:
        """Return the time of a frame that comes next, at `pts`; `recorded`: of no live stream."""
        if self._pts is None or pts <= self._pts:
            return self._now
        step = pts - self._pts
        if not recorded and step > STOP_FACTOR * self._step:
            return self._now + min(step, LONGEST_STOP + 2 * self._most)
        return self._now + min(step, self._most)

    def advance(self, pts: int, *, recorded: bool) -> int:
        """Continue to the frame at `pts`, and return its time."""
        self._now = self.at(pts, recorded=recorded)
        if self._pts is None or pts > self._pts:
            self._step = 0 if self._pts is None else pts - self._pts
            self._pts = pts
        elif self._pts - pts > self._most:
            # No frame out of order: the source's clock was set back.
            self._pts = pts
        return self._now

    def state(self) -> tuple[int, int | None, int]:
        """Return all that it continues from, exactly."""
        return self._now, self._pts, self._step

    def restore(self, state: tuple[int, int | None, int]) -> None:
        """Continue from there."""
        self._now, self._pts, self._step = state
