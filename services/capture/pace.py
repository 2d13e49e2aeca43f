"""How fast the pictures of a file are given: in real time, or thinned to a rate."""

import contextlib
import math

from emostream.services.capture.clock import Clock
from emostream.services.capture.picture import Pictures

# Later than this many seconds, a picture is not caught up with: a burst would only be dropped
# further on.
MAX_LATENESS = 0.1
# Nor is a longer pause waited for; the times of the pictures say that it was there.
LONGEST_WAIT = 60.0


def paced(pictures: Pictures, clock: Clock) -> Pictures:
    """Give each picture when its time has come; nothing is made up for after a delay."""
    start: float | None = None
    with contextlib.closing(pictures):
        for picture in pictures:
            now, time_in_source = clock.now(), picture.pts / 1e9
            if start is None or not -MAX_LATENESS <= start + time_in_source - now <= LONGEST_WAIT:
                start = now - time_in_source
            if clock.wait(start + time_in_source - now):
                return
            yield picture


def sampled(pictures: Pictures, rate: float) -> Pictures:
    """Leave out pictures so that at most `rate` a second of the source's time remain; 0 keeps all.

    The first picture of each interval of 1 / `rate` s is taken, so the times do not drift. Where
    the source's clock goes back to an earlier interval, they are taken again.
    """
    taken: int | None = None
    with contextlib.closing(pictures):
        for picture in pictures:
            # A picture at an interval's edge must not fall to the one before by rounding.
            interval = math.floor(picture.pts * rate / 1e9 + 1e-6)
            # One interval back is a picture out of order.
            if not rate or taken is None or not taken - 1 <= interval <= taken:
                taken = interval
                yield picture
