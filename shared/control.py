"""The commands on `control/`, and the per-stream switches that they set."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from emostream.shared.errors import MessageError
from emostream.shared.messages import Control

RECORD: Final = "record"
BLUR: Final = "blur"
COMMANDS: Final = (RECORD, BLUR)
# The number of ended streams whose switches are remembered.
MAX_KEPT: Final = 1000


class OnOff(msgspec.Struct, frozen=True):
    """The arguments of every command."""

    on: bool


def parse_command(header: Control) -> tuple[str, bool]:
    """Return the command, and whether it switches on or off.

    Raises MessageError, with the reason `command`, if it is unknown or has no `on`.
    """
    if header.command not in COMMANDS:
        known = ", ".join(COMMANDS)
        raise MessageError("command", f"unknown command {header.command[:40]!r}, not {known}")
    try:
        return header.command, msgspec.convert(header.arguments, OnOff).on
    except msgspec.ValidationError as error:
        raise MessageError("command", f"the arguments of {header.command}: {error}") from error


class StreamSwitch:
    """An on/off setting for each stream: the configured default until a command changes it.

    `on_change` is called with a stream's name and state when the stream is registered and after
    each change, and with None when it is forgotten. One thread may set it, any may read it.
    """

    def __init__(
        self, default: bool, on_change: Callable[[str, bool | None], None] = lambda stream, on: None
    ) -> None:
        self.default = default
        self._on_change = on_change
        self._streams: dict[str, bool] = {}
        self._kept: set[str] = set()

    @property
    def streams(self) -> Mapping[str, bool]:
        """The state of each registered stream."""
        return self._streams.copy()

    def is_on(self, stream: str) -> bool:
        """Whether the switch is on for the stream."""
        return self._streams.get(stream, self.default)

    def register(self, stream: str) -> None:
        """Register a new stream with the default."""
        if stream not in self._streams:
            self.set(stream, self.default)

    def set(self, stream: str, on: bool) -> None:
        """Set the switch for the stream."""
        self._streams[stream] = on
        self._kept.discard(stream)
        self._on_change(stream, on)

    def forget(self, stream: str) -> None:
        """Forget an ended stream, unless a command changed it: the change applies when it returns.

        A blurred face must not be exposed because its camera was off for a time.
        """
        if stream not in self._streams or stream in self._kept:
            return
        if self._streams[stream] != self.default and len(self._kept) < MAX_KEPT:
            self._kept.add(stream)
        else:
            del self._streams[stream]
            self._on_change(stream, None)
