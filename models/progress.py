"""A progress bar for terminals and logs."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

EVERY = 30.0  # seconds between two lines in a log
REDRAWN = 0.2  # seconds between two states of the bar on a terminal
WIDTH = 24


class Progress:
    """A bar that is redrawn in place on a terminal and gives a line now and then in a log.

    `total` is the number of steps, an estimate at least; None where it is not known.
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._total, self._clock = title, total, clock
        self._out = out or sys.stdout
        self._terminal = self._out.isatty()
        self._started = self._shown = clock()
        self._unfinished = False

    def show(self, done: int, note: str) -> None:
        """Draw the bar with `done` steps behind it, where it is time to."""
        now = self._clock()
        last = done == self._total
        if not last and now - self._shown < (REDRAWN if self._terminal else EVERY):
            return
        self._shown = now
        line = f"{self._title} {self._bar(done)} {note}{self._left(done, now - self._started)}"
        line = f"\r{line} " if self._terminal else line
        self._unfinished = self._terminal and not last
        print(line, end="" if self._unfinished else "\n", file=self._out, flush=True)

    def close(self) -> None:
        """End the line of a bar that is not full."""
        if self._unfinished:
            self._unfinished = False
            print(file=self._out, flush=True)

    def _bar(self, done: int) -> str:
        if self._total is None:
            return str(done)
        filled = "#" * min(WIDTH, WIDTH * done // max(self._total, 1))
        return f"[{filled:<{WIDTH}}] {done}/{self._total}"

    def _left(self, done: int, seconds: float) -> str:
        if not (self._total and done):
            return ""
        return f", {max(0.0, seconds / done * (self._total - done)):.0f} s left"
