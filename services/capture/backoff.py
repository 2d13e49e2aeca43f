"""How long to wait before a lost source is reopened."""

# In seconds.
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
# A source that delivered pictures for this long was healthy, so its next backoff starts over.
STABLE_AFTER = 10.0


class Backoff:
    """The delay before the next attempt: doubling, until the source stays healthy."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY

    def next(self, lasted: float) -> float:
        """Return the seconds to wait after an attempt that lasted `lasted` seconds."""
        delay = FIRST_DELAY if lasted >= STABLE_AFTER else self._delay
        self._delay = min(LONGEST_DELAY, 2 * delay)
        return delay
