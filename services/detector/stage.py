"""The detector's stage: a frame in, its faces out, one message for each shard."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgpack
import numpy as np

from emostream.models.alignment import CROP, align
from emostream.models.quality import assess
from emostream.services.detector.detection import Detection, FaceDetector
from emostream.services.detector.extra_looks import ExtraLooks, LookCounts
from emostream.services.detector.frame_search import FrameSearch, Result
from emostream.services.detector.tiling import Tiling
from emostream.services.detector.tracking import Tracker
from emostream.shared.messages import Face, Faces, Frame, Header, Message, common_fields
from emostream.shared.pixels import Image


@dataclass(slots=True)
class _Stream:
    """What is remembered of a stream: its run, its tracks and the frames seen so far."""

    run: str
    tracker: Tracker
    looks: ExtraLooks
    frames: int = 0


class DetectorStage:
    """Finds, follows and aligns the faces of any number of streams."""

    def __init__(
        self,
        detector: FaceDetector,
        ids: Iterator[int],
        *,
        tiling: Tiling,
        score: float = 0.5,
        leave_after: float = 1.0,
        shards: int = 1,
        helpers: Sequence[FaceDetector] = (),
    ):
        """Start without streams.

        `ids` gives each new track its id (see `track_ids`), `score` is what a face needs to begin
        a track, `leave_after` the seconds of absence that end one. Each of `helpers`, detectors
        like the first, searches one of the frames given to `look_ahead`. `looks` counts the extra
        looks by reason and whether there was room for them, `whole_only` the frames that were
        searched as a whole alone.
        """
        self.looks: LookCounts = Counter()
        self.whole_only = 0
        self._search = FrameSearch(detector, tiling, helpers)
        self._tiling = tiling
        self._ids = ids
        self._score = score
        self._leave_after = leave_after
        self._shards = shards
        self._streams: dict[str, _Stream] = {}

    def __call__(self, message: Message, *, whole_only: bool = False) -> list[Message]:
        """Answer a `frame/` message with one `faces/` message for each shard, with faces or none.

        `whole_only` leaves out the search for small faces, where there is no time for it: a small
        face that is missed costs less than a frame that is.

        Probes and ends are passed on to every shard. Raises MessageError for a frame whose picture
        cannot be decoded.
        """
        header = message.header
        assert isinstance(header, Frame)
        if not header.is_data:
            return [self._message(header, shard, ()) for shard in range(self._shards)]
        stream = self._stream(header)
        search = self._search_whole if whole_only else self._search_all
        frame, found = search(message, stream)
        stream.frames += 1
        tracked = stream.tracker.update(found, header.pts, recorded=header.recorded)
        return [self._answer(header, frame, shard, tracked) for shard in range(self._shards)]

    def _search_all(self, message: Message, stream: _Stream) -> Result:
        """Search the frame, the tiles whose turn it is, and where faces are missing."""
        header = message.header
        assert isinstance(header, Frame)
        frame, found = self._search.result(message, stream.frames)
        stream.looks.begin(frame, self._tiling.tiles(frame, stream.frames))
        self._end_shot(stream)
        missing = stream.tracker.missing(found, header.pts, recorded=header.recorded)
        found = self._search.add(frame, found, stream.looks.around(frame, missing))
        return frame, self._search.add(frame, found, stream.looks.changed_tiles(frame))

    def _search_whole(self, message: Message, stream: _Stream) -> Result:
        """Search the frame alone; its tiles have their next turn, or one for what changed."""
        self.whole_only += 1
        frame, found = self._search.result_of_whole(message)
        stream.looks.begin(frame, [])
        self._end_shot(stream)
        return frame, found

    @staticmethod
    def _end_shot(stream: _Stream) -> None:
        if stream.looks.is_cut:
            stream.tracker.end_tracks()

    def look_ahead(self, messages: Sequence[Message]) -> None:
        """Begin to search the frames that wait, in the order in which their turns will come."""
        ahead: Counter[str] = Counter()
        for message in messages:
            header = message.header
            stream = self._streams.get(header.stream)
            if header.is_data and stream and stream.run == header.run:
                self._search.submit(message, stream.frames + ahead[header.stream])
                ahead[header.stream] += 1

    def forget(self, stream: str) -> None:
        """Forget the stream."""
        self._streams.pop(stream, None)

    def state(self, header: Header) -> bytes:
        """Return what is remembered of the stream: its tracks and the number of frames."""
        stream = self._streams.get(header.stream)
        if stream is None:
            return b""
        state: bytes = msgpack.packb((stream.frames, stream.tracker.state(), stream.looks.state()))
        return state

    def restore(self, header: Header, state: bytes | None) -> None:
        """Remember `state` of the stream, or nothing where there is none."""
        self._streams.pop(header.stream, None)
        if state:
            stream = self._stream(header)
            stream.frames, tracks, looks = msgpack.unpackb(state)
            stream.tracker.restore(tracks)
            stream.looks.restore(looks)

    def _stream(self, header: Header) -> _Stream:
        """Return what is remembered of the stream; nothing, where a new run begins."""
        stream = self._streams.get(header.stream)
        if stream is None or stream.run != header.run:
            tracker = Tracker(self._ids, score=self._score, leave_after=self._leave_after)
            looks = ExtraLooks(self._tiling, self.looks)
            stream = self._streams[header.stream] = _Stream(header.run, tracker, looks)
        return stream

    def _answer(
        self, header: Frame, frame: Image, shard: int, tracked: Sequence[tuple[int, Detection]]
    ) -> Message:
        """Return the message with the faces whose track falls to `shard`.

        `frame` is the picture with square pixels, in which the faces were found.
        """
        mine = [(track, found) for track, found in tracked if track % self._shards == shard]
        crops = align(frame, [found for _, found in mine])
        faces = tuple(
            _face(track, found, crop, frame, header)
            for (track, found), crop in zip(mine, crops, strict=True)
        )
        return self._message(header, shard, faces, np.ascontiguousarray(crops).tobytes())

    def _message(
        self, header: Frame, shard: int, faces: tuple[Face, ...], crops: bytes | None = None
    ) -> Message:
        answer = Faces(
            **common_fields(header),
            width=header.width,
            height=header.height,
            faces=faces,
            crop=(CROP, CROP),
            part=shard,
            parts=self._shards,
            recorded=header.recorded,
        )
        return Message(answer, crops, shard)


def _face(track: int, found: Detection, crop: Image, frame: Image, header: Frame) -> Face:
    """Return the face in pixels of the frame as stored; it was found where these are square.

    Its quality is measured there too.
    """
    height, width = frame.shape[:2]
    across, down = header.width / width, header.height / height
    quality = assess(crop, found, width, height)
    x, y, wide, high = found.box
    return Face(
        track,
        (across * x, down * y, across * wide, down * high),
        found.score,
        tuple((across * x, down * y) for x, y in found.landmarks),
        quality,
    )
