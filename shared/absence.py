"""The clock that measures how long a face is absent, without long gaps between frames."""

from typing import Final

# A live stream has stopped if a step is longer than this multiple of the previous step.
STOP_FACTOR: Final = 3
# At most this much of a stop counts (ns), plus the absence that ends a track. This keeps the clock
# small, whatever timestamps a stream has.
LONGEST_STOP: Final = 60 * 10**9


class AbsenceClock:
    """Measures the time in ns during which a face could have been seen and was not.

    The clock follows the frames' pts, but advances by at most half of `leave_after` (ns) per frame.
    So a face is absent for `leave_after` only after at least two frames without it, however far
    apart frames are. The exception is a live stream that stops, if its frames are not usually that
    far apart: the whole pause counts, because nobody knows who was there in the meantime.
    """

    def __init__(self, leave_after: int) -> None:
        self._most = leave_after // 2
        self._now = 0
        self._pts: int | None = None
        self._step = 0

    def at(self, pts: int, *, recorded: bool) -> int:
        """Return the time of the next frame, at `pts`; `recorded` is False for a live stream."""
        if self._pts is None or pts <= self._pts:
            return self._now
        step = pts - self._pts
        if not recorded and step > STOP_FACTOR * self._step:
            return self._now + min(step, LONGEST_STOP + 2 * self._most)
        return self._now + min(step, self._most)

    def advance(self, pts: int, *, recorded: bool) -> int:
        """Advance to the frame at `pts`, and return its time."""
        self._now = self.at(pts, recorded=recorded)
        if self._pts is None or pts > self._pts:
            self._step = 0 if self._pts is None else pts - self._pts
            self._pts = pts
        elif self._pts - pts > self._most:
            # Too far back for a frame out of order: the source's clock was set back.
            self._pts = pts
        return self._now

    def state(self) -> tuple[int, int | None, int]:
        """Return the complete state, for `restore`."""
        return self._now, self._pts, self._step

    def restore(self, state: tuple[int, int | None, int]) -> None:
        """Continue from a state."""
        self._now, self._pts, self._step = state
