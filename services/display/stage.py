"""The display's stage: joins frames with their results, shows them, and publishes the commands."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from emostream.services.display.commands import CommandHandler
from emostream.services.display.display_state import DisplayState
from emostream.services.display.metrics import DisplayMetrics
from emostream.shared.errors import MessageError
from emostream.shared.join import Joined, StreamJoin
from emostream.shared.messages import Control, Emotion, Event, Frame, Message


class FrameSink(Protocol):
    """A sink that shows frames: the page or the desktop window."""

    def show(self, joined: Joined) -> None:
        """Show a frame with its results; MessageError for a broken picture."""

    def forget(self, stream: str) -> None:
        """Forget an ended stream."""

    def idle(self) -> None:
        """Do time-based work; called at least a few times per second."""


class ProgressSink:
    """Calls `progressed` with the stream of each frame that is shown."""

    def __init__(self, progressed: Callable[[str], None]) -> None:
        self._progressed = progressed

    def show(self, joined: Joined) -> None:
        """Note the frame."""
        self._progressed(joined.frame.header.stream)

    def idle(self) -> None:
        """Do nothing."""

    def forget(self, stream: str) -> None:
        """Do nothing: this sink remembers no stream."""


class DisplayStage:
    """Shows each frame with the results that came within `wait` s, and keeps the display's state.

    `on_bad` is called for a picture that cannot be decoded and for a command that is not known.
    Times are s on the steady `clock`.
    """

    def __init__(
        self,
        sinks: Sequence[FrameSink],
        display_state: DisplayState,
        commands: CommandHandler,
        metrics: DisplayMetrics,
        on_bad: Callable[[MessageError], None],
        wait: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sinks = tuple(sinks)
        self._display_state = display_state
        self._commands = commands
        self._metrics = metrics
        self._on_bad = on_bad
        self._wait = wait
        self._clock = clock
        self._joins: dict[str, StreamJoin] = {}

    def __call__(self, messages: Sequence[Message]) -> list[Message]:
        """Take the messages (none: only do what is due); return the commands for the bus."""
        now = self._clock()
        commands = self._commands.take_messages()
        for message in messages:
            with self._reporting_bad():
                self._handle(message, now)
        for join in self._joins.values():
            for joined in join.ready(now):
                self._show(joined)
        for sink in self._sinks:
            with self._reporting_bad():
                sink.idle()
        return commands

    def forget(self, stream: str) -> None:
        """Forget a stream that is gone."""
        self._joins.pop(stream, None)
        self._display_state.forget(stream)
        self._metrics.forget(stream)
        self._commands.blur.forget(stream)
        for sink in self._sinks:
            sink.forget(stream)

    def _handle(self, message: Message, now: float) -> None:
        match message.header:
            case Control() as header:
                self._commands.apply(header)
            case Frame(end=True, stream=stream):
                self._display_state.mark_ended(stream)
            case Event() as header if header.is_data:
                self._display_state.add_event(header)
            case Emotion() as header if header.is_data:
                self._display_state.add_results(header)
                self._join(message, now)
            case Frame() as header if header.is_data:
                self._join(message, now)

    def _join(self, message: Message, now: float) -> None:
        stream = message.header.stream
        self._joins.setdefault(stream, StreamJoin(self._wait)).add(message, now)

    def _show(self, joined: Joined) -> None:
        self._display_state.add_frame(joined)
        self._metrics.count_frame(joined)
        for sink in self._sinks:
            with self._reporting_bad():
                sink.show(joined)

    @contextlib.contextmanager
    def _reporting_bad(self) -> Iterator[None]:
        try:
            yield
        except MessageError as error:
            self._on_bad(error)
