"""What a replay says while it runs, and what it sent in all."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, TextIO

from emostream.shared.messages import Message

SHOW_EVERY: Final = 1.0


class Progress:
    """Counts what was sent, and on a terminal says each second how far it is."""

    def __init__(
        self,
        total: int,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start; `total` is the session's length in ns."""
        self._sent: Counter[str] = Counter()
        self._total, self._out, self._clock = total, out or sys.stderr, clock
        self._started = self._shown = clock()
        self._drawn = False

    def count(self, message: Message) -> None:
        """Count a message that was sent, under the first part of its topic."""
        self._sent["end" if message.header.end else message.topic.partition("/")[0]] += 1

    def show(self, at: int) -> None:
        """Draw the line again, with the session at `at` ns, where a second has gone by."""
        now = self._clock()
        if now - self._shown >= SHOW_EVERY and self._out.isatty():
            self._shown, self._drawn = now, True
            place = f"{shown_time(at)} / {shown_time(self._total)}"
            self._out.write(f"\r{place}  {self._sent.total():,} messages ")
            self._out.flush()

    def close(self) -> None:
        """End the line, so that what follows begins one of its own."""
        if self._drawn:
            self._out.write("\n")
            self._drawn = False

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self._sent.items()))
        return f"{counts} in {self._clock() - self._started:.1f} s"


def shown_time(ns: int) -> str:
    """Return a time as 0:07, 12:30 or 1:02:03."""
    minutes, seconds = divmod(ns // 10**9, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
