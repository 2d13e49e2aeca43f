"""The commands on `control/`, and the settings of each stream that they switch on and off."""

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


def parse_command(header: Control) -> tuple[str, bool]:
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


class StreamSwitch:
    """An on/off setting of each stream: the configured default until a command changes it.

    `on_change` is called with a stream's name and state when the stream is registered and at each
    change. Set by one thread, read by any.
    """

    def __init__(
        self, default: bool, on_change: Callable[[str, bool], None] = lambda stream, on: None
    ) -> None:
        self.default = default
        self._on_change = on_change
        self._streams: dict[str, bool] = {}

    @property
    def streams(self) -> Mapping[str, bool]:
        """The state of each registered stream."""
        return self._streams.copy()

    def is_on(self, stream: str) -> bool:
        """Whether it is on for the stream."""
        return self._streams.get(stream, self.default)

    def register(self, stream: str) -> None:
        """Give a stream that is not known yet the default."""
        if stream not in self._streams:
            self.set(stream, self.default)

    def set(self, stream: str, on: bool) -> None:
        """Switch it on or off for the stream."""
        self._streams[stream] = on
        self._on_change(stream, on)
