"""The commands on `control/`, and what they switch on and off for each stream."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from emostream.shared.errors import MessageError
from emostream.shared.messages import Control

RECORD: Final = "record"
BLUR: Final = "blur"
COMMANDS: Final = (RECORD, BLUR)


class OnOff(msgspec.Struct, frozen=True):
    """The arguments that each command takes."""

    on: bool


def wanted(header: Control) -> tuple[str, bool]:
    """Return the command, and whether it switches on or off.

    Raises MessageError, with the reason `command`, for one that is not known or lacks `on`.
    """
    if header.command not in COMMANDS:
        known = ", ".join(COMMANDS)
        raise MessageError("command", f"unknown command {header.command[:40]!r}, not {known}")
    try:
        return header.command, msgspec.convert(header.arguments, OnOff).on
    except msgspec.ValidationError as error:
        raise MessageError("command", f"the arguments of {header.command}: {error}") from error


class Switch:
    """Something that is on or off for each stream: as configured until a command says otherwise.

    `tell` learns the state of a stream when the stream is first met, and each change. Turned by
    one thread, read by any.
    """

    def __init__(
        self, on: bool, tell: Callable[[str, bool], None] = lambda stream, on: None
    ) -> None:
        self.default = on
        self._tell = tell
        self._streams: dict[str, bool] = {}

    @property
    def streams(self) -> Mapping[str, bool]:
        """The state of each stream that was met."""
        return self._streams.copy()

    def is_on(self, stream: str) -> bool:
        """Whether it is on for the stream."""
        return self._streams.get(stream, self.default)

    def meet(self, stream: str) -> None:
        """Note that the stream is there."""
        if stream not in self._streams:
            self.turn(stream, self.default)

    def turn(self, stream: str, on: bool) -> None:
        """Turn it on or off for the stream."""
        self._streams[stream] = on
        self._tell(stream, on)
