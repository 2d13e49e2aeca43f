"""Presentation timestamps (pts) that only rise, over all openings of a source."""

# A step in a source's times beyond this, or backwards, is a break in them and no pause.
MAX_STEP_NS = 60_000_000_000
FIRST_STEP_NS = 40_000_000


class MonotonicPts:
    """Turns the times of one opening after another into one `pts` that only rises, ns."""

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

    def advance(self, seconds: float) -> None:
        """Let time pass in which no picture came."""
        self._pts += max(0, round(seconds * 1e9))
