"""Shows the progress of an analysis: bars, log lines, or JSON for programs."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any, Final, Protocol

from emostream.shared.progress import ProgressBar

INTERVAL: Final = 1.0  # seconds between two JSON lines


class Reporter(Protocol):
    """Shows the progress of one recording after the other."""

    def note(self, line: str, facts: dict[str, Any]) -> None:
        """Show a message about all inputs: `line` for people, `facts` for programs."""

    def start(self, name: str, work: str, total: int | None) -> None:
        """Start a step on a recording; `total` is its number of frames, if known."""

    def update(self, frames: int) -> None:
        """Show the number of completed frames."""

    def end(self, name: str, line: str, facts: dict[str, Any]) -> None:
        """Show the end of a recording: `line` for people, `facts` for programs."""

    def close(self) -> None:
        """Finish the display."""


class ForwardingReporter(Reporter):
    """Forwards everything to another reporter; subclasses do more at some events."""

    def __init__(self, shown: Reporter) -> None:
        self._shown = shown

    def note(self, line: str, facts: dict[str, Any]) -> None:
        """Hand it on."""
        self._shown.note(line, facts)

    def start(self, name: str, work: str, total: int | None) -> None:
        """Hand it on."""
        self._shown.start(name, work, total)

    def update(self, frames: int) -> None:
        """Hand it on."""
        self._shown.update(frames)

    def end(self, name: str, line: str, facts: dict[str, Any]) -> None:
        """Hand it on."""
        self._shown.end(name, line, facts)

    def close(self) -> None:
        """Hand it on."""
        self._shown.close()


@contextlib.contextmanager
def reporter(*, as_json: bool) -> Iterator[Reporter]:
    """Yield the requested reporter; an incomplete bar stays on its line."""
    shown: JsonReporter | BarReporter = JsonReporter() if as_json else BarReporter()
    try:
        yield shown
    finally:
        shown.close()


class BarReporter:
    """A bar for each step on stderr, so that stdout stays free, and a line at the end."""

    def __init__(self) -> None:
        self._bar: ProgressBar | None = None

    def note(self, line: str, facts: dict[str, Any]) -> None:
        """Print the line."""
        print(line)

    def start(self, name: str, work: str, total: int | None) -> None:
        """Begin a bar."""
        self.close()
        self._bar = ProgressBar(f"{name}: {work}", total)

    def update(self, frames: int) -> None:
        """Advance the bar."""
        if self._bar is not None:
            self._bar.update(frames)

    def end(self, name: str, line: str, facts: dict[str, Any]) -> None:
        """Print the line."""
        self.close()
        print(f"{name}: {line}")

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class JsonReporter:
    """A JSON object per line on stdout: `progress` each second, `end` for each recording.

    Before them, `skipped` is printed if anything was skipped.
    """

    def __init__(self) -> None:
        self._name = self._work = ""
        self._total: int | None = None
        self._shown = float("-inf")

    def note(self, line: str, facts: dict[str, Any]) -> None:
        """Print `skipped`."""
        self._print("skipped", "", facts)

    def start(self, name: str, work: str, total: int | None) -> None:
        """Remember the recording for the next lines."""
        self._name, self._work, self._total, self._shown = name, work, total, float("-inf")

    def update(self, frames: int) -> None:
        """Print `progress` if the last one was a second ago."""
        now = time.monotonic()
        if now - self._shown >= INTERVAL:
            self._shown = now
            facts = {"work": self._work, "frames": frames, "of": self._total}
            self._print("progress", self._name, facts)

    def end(self, name: str, line: str, facts: dict[str, Any]) -> None:
        """Print `end`."""
        self._print("end", name, facts)

    def close(self) -> None:
        """Do nothing."""

    def _print(self, event: str, name: str, facts: dict[str, Any]) -> None:
        print(json.dumps({"event": event, "name": name, **facts}), flush=True)
