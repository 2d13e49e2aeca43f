"""How the progress of an analysis is shown: bars, lines in a log, or JSON for programs."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any, Final, Protocol

from emostream.shared.progress import ProgressBar

EVERY: Final = 1.0  # seconds between two JSON lines


class View(Protocol):
    """What is told of each recording in turn."""

    def start(self, name: str, what: str, total: int | None) -> None:
        """Begin with a piece of work of so many frames, as far as is known."""

    def done(self, frames: int) -> None:
        """So many of its frames are done."""

    def end(self, name: str, line: str, facts: dict[str, Any]) -> None:
        """A recording has ended: a line for people, facts for programs."""


@contextlib.contextmanager
def view(*, as_json: bool) -> Iterator[View]:
    """Give what shows the progress; a bar that is not whole is left on its line."""
    shown: _Lines | _Bars = _Lines() if as_json else _Bars()
    try:
        yield shown
    finally:
        shown.close()


class _Bars:
    """A bar a piece of work on stderr, so that stdout stays free."""

    def __init__(self) -> None:
        self._bar: ProgressBar | None = None

    def start(self, name: str, what: str, total: int | None) -> None:
        self.close()
        self._bar = ProgressBar(f"{name}: {what}", total)

    def done(self, frames: int) -> None:
        if self._bar is not None:
            self._bar.update(frames)

    def end(self, name: str, line: str, facts: dict[str, Any]) -> None:
        self.close()
        print(f"{name}: {line}")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines:
    """A JSON object a line on stdout: `progress` each second, `end` for each recording."""

    def __init__(self) -> None:
        self._name = self._what = ""
        self._total: int | None = None
        self._shown = float("-inf")

    def start(self, name: str, what: str, total: int | None) -> None:
        self._name, self._what, self._total, self._shown = name, what, total, float("-inf")

    def done(self, frames: int) -> None:
        now = time.monotonic()
        if now - self._shown >= EVERY:
            self._shown = now
            self._print(
                "progress", self._name, {"work": self._what, "frames": frames, "of": self._total}
            )

    def end(self, name: str, line: str, facts: dict[str, Any]) -> None:
        self._print("end", name, facts)

    def close(self) -> None:
        """There is nothing to finish."""

    def _print(self, event: str, name: str, facts: dict[str, Any]) -> None:
        print(json.dumps({"event": event, "name": name, **facts}), flush=True)
