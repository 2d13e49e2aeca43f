"""The state of a stream, and the search strategy for each of its frames."""

from collections.abc import Sequence

import msgpack

from emostream.services.detector.detection import Detection
from emostream.services.detector.extra_looks import ExtraLooks
from emostream.services.detector.frame_search import FrameSearch, picture
from emostream.services.detector.planes import Picture
from emostream.services.detector.tiling import Region, Tiling, merge
from emostream.services.detector.track_windows import MOST_WINDOWS, NARROW, WIDE, windows_around
from emostream.services.detector.tracking import Tracker
from emostream.shared.messages import Box, Frame, Header, Message


class FollowedStream:
    """One run of a stream: its tracks and the frames seen so far.

    A frame that is due by `tiling`, or in which more faces than `MOST_WINDOWS` are expected, is
    searched in full. In other frames, windows around the expected positions of the tracked faces
    are searched, and besides these either the tiles due or, if a face is missing or something
    changed, the regions in question. Results therefore do not depend on processing speed.
    `windows_only` is whether the last frame was searched only in windows.
    """

    def __init__(
        self, run: str, search: FrameSearch, tiling: Tiling, tracker: Tracker, looks: ExtraLooks
    ) -> None:
        self.run = run
        self.tracker = tracker
        self.looks = looks
        self.frames = 0
        self.windows_only = False
        self._search = search
        self._tiling = tiling

    def is_due(self, header: Header, index: int) -> bool:
        """Whether frame number `index` is searched in full."""
        return (
            self._tiling.is_due(index)
            or not self.looks.have_begun
            or self._expected_count(header) > MOST_WINDOWS
        )

    def next_frame(
        self, message: Message, *, whole_only: bool = False
    ) -> tuple[Picture, list[tuple[int, Detection]]]:
        """Return the picture of the next frame, and its faces with their track ids.

        `whole_only` skips tiles, which are searched at their next turn, or when something changes.
        Raises MessageError if the picture cannot be decoded.
        """
        header = _header(message)
        frame, found, is_searched = self._search_by_turn(message, whole_only=whole_only)
        found, missing = self._search_windows(header, frame, found)
        present = [box for box in self._expected(header) if box not in missing]
        self.looks.follow(frame, present)
        regions: Sequence[Region] = ()
        if self._tiling.search_every == 1 or self.looks.is_sudden:
            if not whole_only:
                regions = self.looks.wanted(frame, missing, is_searched=True)
        elif not is_searched:
            regions = self.looks.wanted(frame, [])
        found = self._search.add(frame, found, regions)
        self.windows_only = not (is_searched or regions)
        self.frames += 1
        return frame, self.tracker.update(found, header.pts, recorded=header.recorded)

    def _search_windows(
        self, header: Frame, frame: Picture, found: list[Detection]
    ) -> tuple[list[Detection], list[Box]]:
        """Return the faces, also those in windows, and the expected boxes of missing ones."""
        height, width = frame.shape[:2]
        missing = self._missing(header, found)
        for size in (NARROW, WIDE) if self._tiling.search_every > 1 else ():
            if missing:
                windows = windows_around(missing[:MOST_WINDOWS], width, height, size)
                found = self._search.add_windows(frame, found, windows)
                missing = self._missing(header, found)
        return found, missing

    def _search_by_turn(
        self, message: Message, *, whole_only: bool
    ) -> tuple[Picture, list[Detection], bool]:
        """Start the next frame with the searches that do not depend on what it shows.

        Returns the picture, its faces, and whether it was searched. After a sudden change, the
        frame is searched in full; a cut ends all tracks.
        """
        is_due = self.is_due(_header(message), self.frames)
        tiles: Sequence[Region] = ()
        if whole_only:
            frame = picture(message)
            found = self._search.whole(frame) if is_due else []
        else:
            frame, found = self._search.result(message, self.frames, whole=is_due)
            tiles = self._tiling.tiles(frame, self.frames)
        self.looks.begin(frame)
        self.looks.note_searched(frame, tiles)
        if self.looks.is_cut:
            self.tracker.end_tracks()
        if self.looks.is_sudden and not is_due:
            found = merge([*found, *self._search.whole(frame)])
        if is_due or self.looks.is_sudden:
            self.looks.note_whole(frame)
        return frame, found, is_due or bool(tiles) or self.looks.is_sudden

    def _expected(self, header: Header) -> list[Box]:
        """Return the expected boxes of recently seen faces."""
        assert isinstance(header, Frame)
        return self.tracker.expected(header.pts, recorded=header.recorded)

    def _expected_count(self, header: Header) -> int:
        assert isinstance(header, Frame)
        return self.tracker.expected_count(header.pts, recorded=header.recorded)

    def _missing(self, header: Frame, found: Sequence[Detection]) -> list[Box]:
        """Return the expected boxes of missing faces."""
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
