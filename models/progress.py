"""A progress bar for terminals and logs."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

EVERY = 30.0  # seconds between two lines in a log
REDRAWN = 0.2  # seconds between two states of the bar on a terminal
WIDTH = 24


class Progress:
    """A bar that is redrawn in place on a terminal and gives a line now and then in a log."""

    def __init__(
        self,
        title: str,
        total: int,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._total, self._clock = title, total, clock
        self._out = out or sys.stdout
        self._terminal = self._out.isatty()
        self._started = self._shown = clock()

    def show(self, done: int, note: str) -> None:
        """Draw the bar with `done` steps behind it, where it is time to."""
        now = self._clock()
        last = done == self._total
        if not last and now - self._shown < (REDRAWN if self._terminal else EVERY):
            return
        self._shown = now
        left = (now - self._started) / done * (self._total - done)
        bar = "#" * (WIDTH * done // self._total)
        line = f"{self._title} [{bar:<{WIDTH}}] {done}/{self._total} {note}, {left:.0f} s left"
        line = f"\r{line} " if self._terminal else line
        print(line, end="\n" if last or not self._terminal else "", file=self._out, flush=True)
