"""What is told to viewers and programs, put together once for all of them."""

from typing import NamedTuple

import msgspec

from emostream.services.display.board import Board
from emostream.services.display.controls import Controls
from emostream.services.display.news import ControlsState, News, State, StreamControls
from emostream.services.display.reports import Report
from emostream.services.display.watch import Watch

NEWS_EVERY_S = 0.5


class Edition(NamedTuple):
    """News as JSON, and the revision up to which they tell."""

    text: str
    revision: int


class Newsroom:
    """Joins what the board, the stages and the controls say. Used in the server's loop alone."""

    def __init__(self, board: Board, controls: Controls, watch: Watch, needs_token: bool) -> None:
        self._board = board
        self._controls = controls
        self._watch = watch
        self._needs_token = needs_token
        self._editions: dict[int, Edition] = {}
        self._tick = -1

    def due(self, now: float) -> float:
        """Return when news are next due: for all viewers at once, so that they are made once."""
        return (now // NEWS_EVERY_S + 1) * NEWS_EVERY_S

    def edition(self, since: int, now: float) -> Edition:
        """Return what changed after revision `since`, the same for all who ask in half a second."""
        tick = int(now // NEWS_EVERY_S)
        if tick != self._tick:
            self._tick = tick
            self._editions.clear()
        made = self._editions.get(since)
        if made is None or self._board.has_new_labels(made.revision):
            news = self.news(since)
            made = Edition(msgspec.json.encode(news).decode(), news.revision)
            self._editions[since] = made
        return made

    def news(self, since: int) -> News:
        """Return what changed after revision `since` (0: everything)."""
        news = self._board.news(since)
        said = self._watch.report
        return msgspec.structs.replace(
            news,
            stages=said.stages,
            accounts=said.accounts,
            controls=self._switches(list(news.streams), said),
        )

    def state(self) -> State:
        """Return all that is known now."""
        streams, said = self._board.now(), self._watch.report
        return State(streams, said.stages, said.accounts, self._switches(list(streams), said))

    def _switches(self, streams: list[str], said: Report) -> ControlsState:
        blur = self._controls.blur
        return ControlsState(
            self._needs_token,
            {
                stream: StreamControls(
                    said.recording.get(stream),
                    blur.is_on(stream) and stream not in said.unblurred,
                )
                for stream in streams
            },
        )
