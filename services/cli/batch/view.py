"""Shows the progress of a batch: a bar, a line for each finished recording, or JSON lines."""

import contextlib
import json
import sys
import time
from typing import Any, Final, Protocol

import msgspec
from rich.console import Console

from emostream.services.cli.batch.finish import Ended
from emostream.services.cli.batch.inputs import PHOTOS
from emostream.shared.plural import counted
from emostream.shared.progress import ProgressBar

INTERVAL: Final = 1.0  # seconds between two JSON lines


class View(Protocol):
    """Shows the progress of a batch, on stdout and stderr as they were at its creation."""

    def begin(self, work: str, total: int, unit: str) -> None:
        """Start a step on all recordings."""

    def update(self, done: int, note: str = "") -> None:
        """Show how much of the step is done."""

    def ended(self, name: str, end: Ended, note: str = "") -> None:
        """Show the outcome of a recording, with a note."""

    def say(self, line: str, facts: dict[str, Any]) -> None:
        """Show a message about the whole batch: `line` for people, `facts` for programs."""

    def close(self) -> None:
        """Finish the display."""


class BarView:
    """A bar on stderr; lines on stdout, above the bar on a terminal."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self._console = Console(stderr=True)
        self._bar: ProgressBar | None = None

    def begin(self, work: str, total: int, unit: str) -> None:
        """Begin a bar."""
        self.close()
        self._bar = ProgressBar(work, total, unit, console=self._console, transient=True)

    def update(self, done: int, note: str = "") -> None:
        """Advance the bar."""
        if self._bar:
            self._bar.update(done, note=note)

    def ended(self, name: str, end: Ended, note: str = "") -> None:
        """Print a line about it."""
        self._print(f"{name}: {end_line(end)}{f' ({note})' if note else ''}")

    def say(self, line: str, facts: dict[str, Any]) -> None:
        """Print the line."""
        self._print(line)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar:
            self._bar.close()
            self._bar = None

    def _print(self, line: str) -> None:
        with self._bar.hidden() if self._bar else contextlib.nullcontext():
            print(line, file=self._out, flush=True)


class JsonView:
    """A JSON object per line on stdout: `progress` each second, `end` for each recording."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self._work, self._total, self._shown = "", 0, float("-inf")

    def begin(self, work: str, total: int, unit: str) -> None:
        """Remember the step for the next lines."""
        self._work, self._total, self._shown = work, total, float("-inf")

    def update(self, done: int, note: str = "") -> None:
        """Print `progress` if the last one was a second ago."""
        now = time.monotonic()
        if now - self._shown >= INTERVAL:
            self._shown = now
            self._print({"event": "progress", "work": self._work, "done": done, "of": self._total})

    def ended(self, name: str, end: Ended, note: str = "") -> None:
        """Print `end`."""
        self._print({"event": "end", "name": name, "note": note, **facts_of(end)})

    def say(self, line: str, facts: dict[str, Any]) -> None:
        """Print the facts."""
        self._print(facts)

    def close(self) -> None:
        """Do nothing."""

    def _print(self, facts: dict[str, Any]) -> None:
        print(json.dumps(facts, ensure_ascii=False), file=self._out, flush=True)


def end_line(end: Ended) -> str:
    """Return the outcome of a recording in one line."""
    if end.status == "unreadable":
        return f"error: {end.message}"
    if end.recording == PHOTOS:
        return f"{counted(end.frames, 'photo')}, {counted(end.faces, 'face')}"
    line = f"{counted(end.frames, 'frame')}, {counted(end.tracks, 'face')}"
    return f"{line}; {end.status}: {end.message}" if end.message else line


def facts_of(end: Ended) -> dict[str, Any]:
    """Return the outcome of a recording as plain values."""
    facts: dict[str, Any] = msgspec.to_builtins(end)
    return facts
