"""The state of a stream, and the search strategy for each of its frames."""

from collections.abc import Sequence

import msgpack

from emostream.services.detector.detection import Detection
from emostream.services.detector.extra_looks import ExtraLooks
from emostream.services.detector.frame_search import FrameSearch, Result, picture
from emostream.services.detector.planes import Picture
from emostream.services.detector.tiling import Region, Tiling, merge
from emostream.services.detector.track_windows import MOST_WINDOWS, windows_around
from emostream.services.detector.tracking import Tracker
from emostream.shared.messages import Box, Frame, Message


class FollowedStream:
    """One run of a stream: its tracks and the frames seen so far.

    A frame that is due by `tiling` is searched in full. In other frames, only windows around the
    expected positions of the tracked faces are searched, and the full frame only if one of the
    faces is missing, if anything changed outside the windows since the last full search, or if
    there are too many windows. Results therefore do not depend on processing speed. `windows_only`
    is whether the last frame was searched only in windows, `windows_are_enough` whether the last
    frame that was not due was.
    """

    def __init__(
        self, run: str, search: FrameSearch, tiling: Tiling, tracker: Tracker, looks: ExtraLooks
    ) -> None:
        self.run = run
        self.tracker = tracker
        self.looks = looks
        self.frames = 0
        self.windows_only = False
        self.windows_are_enough = False
        self._search = search
        self._tiling = tiling

    def next_frame(
        self, message: Message, *, whole_only: bool = False
    ) -> tuple[Picture, list[tuple[int, Detection]]]:
        """Return the picture of the next frame, and its faces with their track ids.

        `whole_only` skips tiles and close-ups, which are searched at their next turn, or when
        something changes. Raises MessageError if the picture cannot be decoded.
        """
        header = _header(message)
        self.windows_only = False
        if self._tiling.is_due(self.frames):
            frame, found = self._search_whole(message, whole_only=whole_only)
        else:
            frame, found = self._search_by_need(message, whole_only=whole_only)
            self.windows_are_enough = self.windows_only
        self.frames += 1
        return frame, self.tracker.update(found, header.pts, recorded=header.recorded)

    def _search_by_need(self, message: Message, *, whole_only: bool) -> Result:
        """Search the expected positions of faces, and the full frame if that is not enough."""
        frame = picture(message)
        self._begin(frame)
        header = _header(message)
        expected = self.tracker.expected(header.pts, recorded=header.recorded)
        windows = windows_around(expected, frame.shape[1], frame.shape[0])
        is_new = self.looks.changed_outside(frame, [window.region for window in windows])
        if is_new or len(windows) > MOST_WINDOWS:
            return self._search_whole(message, frame, whole_only=whole_only)
        found = self._search.add_windows(frame, [], windows)
        if self._missing(message, found):
            return self._search_whole(message, frame, found, whole_only=whole_only)
        self._search.discard(message, self.frames)
        self.windows_only = True
        return frame, found

    def _search_whole(
        self,
        message: Message,
        begun: Picture | None = None,
        nearby: Sequence[Detection] | None = None,
        *,
        whole_only: bool,
    ) -> Result:
        """Search the full frame, the tiles due now, and around missing faces.

        `begun` is the frame if its search was started, `nearby` the faces in its windows if they
        were searched.
        """
        tiles: Sequence[Region] = ()
        if whole_only:
            self._search.discard(message, self.frames)
            frame = picture(message) if begun is None else begun
            found = self._search.whole(frame)
        else:
            frame, found = self._search.result(message, self.frames, begun)
            tiles = self._tiling.tiles(frame, self.frames)
        if begun is None:
            self._begin(frame)
        self.looks.note_searched(frame, tiles)
        if nearby is not None:
            found = merge([*found, *nearby])
        elif self._tiling.search_every > 1:
            missing = self._missing(message, found)[:MOST_WINDOWS]
            windows = windows_around(missing, frame.shape[1], frame.shape[0])
            found = self._search.add_windows(frame, found, windows)
        if whole_only:
            return frame, found
        close_ups = self.looks.around(frame, self._missing(message, found))
        found = self._search.add(frame, found, close_ups)
        return frame, self._search.add(frame, found, self.looks.changed_tiles(frame))

    def _begin(self, frame: Picture) -> None:
        """Start the next frame; a cut ends all tracks."""
        self.looks.begin(frame)
        if self.looks.is_cut:
            self.tracker.end_tracks()

    def _missing(self, message: Message, found: Sequence[Detection]) -> list[Box]:
        """Return the expected boxes of missing faces."""
        header = _header(message)
        return self.tracker.missing(found, header.pts, recorded=header.recorded)

    def state(self) -> bytes:
        """Return the state: the number of frames, the tracks and the looks."""
        state: bytes = msgpack.packb((self.frames, self.tracker.state(), self.looks.state()))
        return state

    def restore(self, state: bytes) -> None:
        """Replace the state."""
        self.frames, tracks, looks = msgpack.unpackb(state)
        self.tracker.restore(tracks)
        self.looks.restore(looks)


def _header(message: Message) -> Frame:
    assert isinstance(message.header, Frame)
    return message.header
