"""What is remembered of a stream, and how each of its frames is searched."""

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

    A frame that is due by `tiling` is searched whole. Of the others, only the windows are searched
    in which the faces of the frame before should be; the whole as well where one of them is not
    there, where anything changed outside them since the last whole search, and where there are too
    many of them. So nothing depends on how quickly frames are worked on.
    `windows_only` is whether the last frame was searched in windows alone, `windows_are_enough`
    whether the last one that was not due was.
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
        """Return the picture of the next frame, and its faces with the ids of their tracks.

        `whole_only` leaves out tiles and close-ups: they have their next turn, or one for what
        changed. Raises MessageError where the picture cannot be decoded.
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
        """Search where faces should be, and the whole frame where that is not enough."""
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
        """Search the frame, the tiles whose turn it is, and where faces are missing.

        `begun` is the frame where it was begun with, `nearby` what its windows showed, where they
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
        """Begin with the next frame; one that shows another shot ends all tracks."""
        self.looks.begin(frame)
        if self.looks.is_cut:
            self.tracker.end_tracks()

    def _missing(self, message: Message, found: Sequence[Detection]) -> list[Box]:
        """Return where faces should be that were not found."""
        header = _header(message)
        return self.tracker.missing(found, header.pts, recorded=header.recorded)

    def state(self) -> bytes:
        """Return what is remembered: the number of frames, the tracks and the looks."""
        state: bytes = msgpack.packb((self.frames, self.tracker.state(), self.looks.state()))
        return state

    def restore(self, state: bytes) -> None:
        """Remember `state` instead."""
        self.frames, tracks, looks = msgpack.unpackb(state)
        self.tracker.restore(tracks)
        self.looks.restore(looks)


def _header(message: Message) -> Frame:
    assert isinstance(message.header, Frame)
    return message.header
