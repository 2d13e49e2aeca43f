"""Builds updates for viewers and the state for programs, once for all of them."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from emostream.services.display.commands import CommandHandler
from emostream.services.display.display_state import DisplayState
from emostream.services.display.pipeline_status import PipelineStatus
from emostream.services.display.schema import ControlsState, State, StreamControls, Update
from emostream.services.display.status_poller import StatusPoller

UPDATE_INTERVAL_S = 0.5


class EncodedUpdate(NamedTuple):
    """An update as JSON, and the revision that a viewer has after it."""

    text: str
    revision: int


class UpdateBuilder:
    """Combines the display's state, the stages' status and the commands' effects.

    Used only in the server's loop.
    """

    def __init__(
        self,
        display_state: DisplayState,
        commands: CommandHandler,
        poller: StatusPoller,
        needs_token: bool,
    ) -> None:
        self._display_state = display_state
        self._commands = commands
        self._poller = poller
        self._needs_token = needs_token
        self._encoded: dict[int, EncodedUpdate] = {}
        self._tick = -1

    def next_due(self, now: float) -> float:
        """Return the time of the next update, the same for all viewers to build it only once."""
        return (now // UPDATE_INTERVAL_S + 1) * UPDATE_INTERVAL_S

    def encoded(self, since: int, now: float) -> EncodedUpdate:
        """Return the update since a revision, cached for half a second."""
        tick = int(now // UPDATE_INTERVAL_S)
        if tick != self._tick:
            self._tick = tick
            self._encoded.clear()
        encoded = self._encoded.get(since)
        if encoded is None or self._display_state.has_new_names(encoded.revision):
            update = self.update(since)
            encoded = EncodedUpdate(msgspec.json.encode(update).decode(), update.revision)
            self._encoded[since] = encoded
        return encoded

    def update(self, since: int) -> Update:
        """Return the changes after revision `since` (0: everything)."""
        update = self._display_state.update(since)
        status = self._poller.status
        return msgspec.structs.replace(
            update,
            stages=status.stages,
            accounts=status.accounts,
            controls=self._controls(update.streams, status),
            sources=status.sources,
        )

    def state(self) -> State:
        """Return the complete current state."""
        streams, status = self._display_state.snapshots(), self._poller.status
        controls = self._controls(streams, status)
        return State(streams, status.stages, status.accounts, controls, status.sources)

    def has_stream(self, stream: str) -> bool:
        """Whether any message of the stream has arrived, or a capture is configured to read it."""
        configured = (source.stream for source in self._poller.status.sources)
        return self._display_state.has_stream(stream) or stream in configured

    def _controls(self, shown: Iterable[str], status: PipelineStatus) -> ControlsState:
        blur = self._commands.blur
        streams = dict.fromkeys((*shown, *(source.stream for source in status.sources)))
        return ControlsState(
            self._needs_token,
            {
                stream: StreamControls(
                    status.recording.get(stream),
                    blur.is_on(stream) and stream not in status.unblurred,
                    status.videos.get(stream),
                    blur.is_on(stream),
                )
                for stream in streams
            },
        )
