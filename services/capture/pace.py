"""The time of a source: the clock that its thread waits by, the pace of files, and a steady pts."""

import contextlib
import threading
import time
from collections.abc import Generator
from typing import Protocol, TypeAlias

from emostream.services.capture.picture import Picture

Pictures: TypeAlias = Generator[Picture, None, None]

# Later than this, a picture is not caught up with: a burst would only be dropped further on.
LATE = 0.1
# How long to wait before a lost source is opened again, in seconds.
BACKOFF_FIRST, BACKOFF_LONGEST = 0.5, 30.0
# A source that gave pictures for this long was well, and its next backoff starts small again.
STEADY = 10.0
# A step in the source's times beyond this, or backwards, is a break in them and no pause.
LONGEST_STEP = 60.0


class Clock(Protocol):
    """The time and the waiting that a source's thread needs."""

    def now(self) -> float:
        """Seconds that never run backwards."""

    def wait(self, seconds: float) -> bool:
        """Wait, and return early and True when told to stop."""

    def stop(self) -> None:
        """End all waiting, now and later."""


class RealClock:
    """The machine's clock; `stop` ends all waiting."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def now(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Wait, and return early and True when told to stop."""
        return self._stop.wait(max(0.0, seconds))

    def stop(self) -> None:
        """End all waiting, now and later."""
        self._stop.set()


def paced(pictures: Pictures, clock: Clock) -> Pictures:
    """Give each picture when its time has come; nothing is made up for after a hold-up."""
    start: float | None = None
    with contextlib.closing(pictures):
        for picture in pictures:
            now, time_in_source = clock.now(), picture.pts / 1e9
            if start is None or not -LATE <= start + time_in_source - now <= LONGEST_STEP:
                start = now - time_in_source
            if clock.wait(start + time_in_source - now):
                return
            yield picture


class Timeline:
    """Turns the times of one opening after another into one `pts` that only rises."""

    def __init__(self) -> None:
        self._pts = 0
        self._raw: int | None = None
        self._step = 40_000_000

    def at(self, raw: int) -> int:
        """Return the pts, ns, of a picture whose time in this opening is `raw` ns."""
        if self._raw is None:
            self._pts = max(self._pts, raw)
        elif 0 < raw - self._raw < LONGEST_STEP * 1e9:
            self._step = raw - self._raw
            self._pts += self._step
        else:
            self._pts += self._step
        self._raw = raw
        return self._pts

    def pause(self, seconds: float) -> None:
        """Let time go by in which no picture came."""
        self._pts += max(0, round(seconds * 1e9))


class Backoff:
    """How long to wait before the next attempt: doubling, until the source stays well."""

    def __init__(self) -> None:
        self._delay = BACKOFF_FIRST

    def next(self, lasted: float) -> float:
        """Return the seconds to wait after an attempt that gave pictures for `lasted` seconds."""
        delay = BACKOFF_FIRST if lasted >= STEADY else self._delay
        self._delay = min(BACKOFF_LONGEST, 2 * delay)
        return delay
