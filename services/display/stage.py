"""The display's stage: joins frames with their results, shows them, and says the commands."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from emostream.services.display.board import Board
from emostream.services.display.controls import Controls
from emostream.services.display.metrics import DisplayMetrics
from emostream.shared.errors import MessageError
from emostream.shared.join import Joined, StreamJoin
from emostream.shared.messages import Control, Emotion, Event, Frame, Message


class Outlet(Protocol):
    """A place where frames are shown: the page, the desktop window."""

    def show(self, joined: Joined) -> None:
        """Show a frame with its results; MessageError for a picture that is broken."""

    def idle(self) -> None:
        """Do what is due; called a few times a second at least."""


class DisplayStage:
    """Shows each frame with the results that came within `wait` s, and keeps the board.

    `bad` is told of a picture that cannot be decoded and of a command that is not known. Times are
    s on the steady `clock`.
    """

    def __init__(
        self,
        outlets: Sequence[Outlet],
        board: Board,
        controls: Controls,
        metrics: DisplayMetrics,
        bad: Callable[[MessageError], None],
        wait: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outlets = tuple(outlets)
        self._board = board
        self._controls = controls
        self._metrics = metrics
        self._bad = bad
        self._wait = wait
        self._clock = clock
        self._joins: dict[str, StreamJoin] = {}

    def __call__(self, messages: Sequence[Message]) -> list[Message]:
        """Take the messages (none: only do what is due); return the commands for the bus."""
        now = self._clock()
        commands = self._controls.messages()
        for message in messages:
            with self._telling_of_broken():
                self._take(message, now)
        for join in self._joins.values():
            for joined in join.ready(now):
                self._show(joined)
        for outlet in self._outlets:
            with self._telling_of_broken():
                outlet.idle()
        return commands

    def _take(self, message: Message, now: float) -> None:
        match message.header:
            case Control() as header:
                self._controls.obey(header)
            case Frame(end=True, stream=stream):
                self._board.ended(stream)
            case Event() as header if header.is_data:
                self._board.happened(header)
            case Emotion() as header if header.is_data:
                self._board.answered(header)
                self._join(message, now)
            case Frame() as header if header.is_data:
                self._join(message, now)

    def _join(self, message: Message, now: float) -> None:
        stream = message.header.stream
        self._joins.setdefault(stream, StreamJoin(self._wait)).add(message, now)

    def _show(self, joined: Joined) -> None:
        self._board.shown(joined)
        self._metrics.count(joined)
        for outlet in self._outlets:
            with self._telling_of_broken():
                outlet.show(joined)

    @contextlib.contextmanager
    def _telling_of_broken(self) -> Iterator[None]:
        try:
            yield
        except MessageError as error:
            self._bad(error)
