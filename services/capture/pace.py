"""The pace of a file's pictures: in real time, or reduced to a rate."""

import contextlib
import math

from emostream.services.capture.clock import Clock
from emostream.services.capture.picture import Pictures

# A picture that is late by more than this many seconds is not caught up with, because a burst would
# only be dropped downstream.
MAX_LATENESS = 0.1
# Longer pauses are not waited for; the times of the pictures still show them.
LONGEST_WAIT = 60.0
# The next picture is prepared after this share of the time between two pictures. It is prepared at
# once if preparing one takes more than the share QUICK of that time, or after a gap of more than
# LONGEST_INTERVAL seconds, which says nothing about the time of the next picture.
REST = 0.5
QUICK = 0.25
LONGEST_INTERVAL = 0.2


def paced(pictures: Pictures, clock: Clock) -> Pictures:
    """Yield each picture at its time; delays are not caught up with.

    Decoding or drawing the next picture takes CPU time from the stages that process the one before.
    So it begins when they have probably finished.
    """
    start: float | None = None
    previous = math.inf  # none
    with contextlib.closing(pictures):
        begun = clock.now()
        for picture in pictures:
            now, time_in_source = clock.now(), picture.pts / 1e9
            interval, previous = time_in_source - previous, time_in_source
            rests = now - begun <= QUICK * interval and interval <= LONGEST_INTERVAL
            if start is None or not -MAX_LATENESS <= start + time_in_source - now <= LONGEST_WAIT:
                start = now - time_in_source
            if clock.wait(start + time_in_source - now):
                return
            yield picture
            if rests and clock.wait(start + time_in_source + REST * interval - clock.now()):
                return
            begun = clock.now()


def sampled(pictures: Pictures, rate: float) -> Pictures:
    """Keep at most `rate` pictures per second of source time; 0 keeps all.

    The first picture of each interval of 1 / `rate` s is kept, so the times do not drift. If the
    source's clock goes back to an earlier interval, pictures are kept again.
    """
    taken: int | None = None
    with contextlib.closing(pictures):
        for picture in pictures:
            # Rounding must not move a picture at an interval's edge to the previous interval.
            interval = math.floor(picture.pts * rate / 1e9 + 1e-6)
            # One interval back means a picture out of order.
            if not rate or taken is None or not taken - 1 <= interval <= taken:
                taken = interval
                yield picture
