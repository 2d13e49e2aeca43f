"""Viewers' commands, published on the bus for all processes that apply them."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from emostream.shared.control import BLUR, OnOff, StreamSwitch, parse_command
from emostream.shared.fields import StreamName
from emostream.shared.messages import Control, Message

# How often a stream's blur is published again, so that a recorder that started later does not
# record unblurred faces because it missed the command.
REPEAT_INTERVAL_S: Final = 1.0


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command to all processes that handle a stream.

    `record` starts and stops recording its video, `blur` makes faces unrecognizable on the page and
    in recorded video.
    """

    stream: StreamName
    command: Literal["record", "blur"]
    arguments: OnOff


class CommandHandler:
    """Handles commands from viewers (on any thread) and from the bus.

    `blur` is this display's switch. Times are ns since the epoch on `wall` and s on the steady
    `clock`.
    """

    def __init__(
        self,
        blur: StreamSwitch,
        wall: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.blur = blur
        self._wall = wall
        self._clock = clock
        self._run = f"{wall() // 1_000_000:x}"
        self._count = 0
        self._submitted: deque[Command] = deque()
        self._repeat_due = float("-inf")

    def submit(self, command: Command) -> None:
        """Queue a viewer's command."""
        self._submitted.append(command)

    def apply(self, header: Control) -> None:
        """Apply a command from the bus to this display; MessageError if it is unknown."""
        command, on = parse_command(header)
        # Own commands come back after newer ones may have been submitted, so they are applied when
        # sent.
        if command == BLUR and header.run != self._run:
            self.blur.set(header.stream, on)

    def take_messages(self) -> list[Message]:
        """Return the messages to publish now, and apply their commands to this display."""
        messages = []
        while self._submitted:
            command = self._submitted.popleft()
            if command.command == BLUR:
                self.blur.set(command.stream, command.arguments.on)
            messages.append(self._message(command))
        now = self._clock()
        if now >= self._repeat_due:
            self._repeat_due = now + REPEAT_INTERVAL_S
            messages += [
                self._message(Command(stream, BLUR, OnOff(True)))
                for stream, on in self.blur.streams.items()
                if on
            ]
        return messages

    def _message(self, command: Command) -> Message:
        header = Control(
            stream=command.stream,
            run=self._run,
            seq=self._count,
            t=self._wall(),
            pts=0,
            marks={},
            command=command.command,
            arguments=msgspec.to_builtins(command.arguments),
        )
        self._count += 1
        return Message(header)
