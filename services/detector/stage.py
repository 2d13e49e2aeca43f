"""The detector's stage: a frame in, its faces out, one message per shard."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from emostream.models.crop_size import CROP
from emostream.models.quality import assess_all
from emostream.services.detector.detection import Detection, FaceDetector
from emostream.services.detector.extra_looks import ExtraLooks, LookCounts
from emostream.services.detector.followed_stream import FollowedStream
from emostream.services.detector.frame_search import FrameSearch
from emostream.services.detector.planes import Picture, aligned
from emostream.services.detector.shard_balance import balanced_ids
from emostream.services.detector.tiling import Tiling
from emostream.services.detector.tracking import Tracker
from emostream.shared.messages import Face, Faces, Frame, Header, Message, Quality, common_fields


class DetectorStage:
    """Detects, tracks and aligns the faces of any number of streams."""

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
        """Create without streams.

        `ids` yields the ids of new tracks (see `track_ids`), `score` is the minimum score to start
        a track, `leave_after` the seconds of absence that end one. Each of `helpers` (detectors
        like the first) searches one of the frames passed to `look_ahead`. `looks` counts extra
        looks by reason and whether the budget allowed them, `whole_only` the frames searched
        without tiles, `windows_only` the frames searched only around expected faces.
        """
        self.looks: LookCounts = Counter()
        self.whole_only = 0
        self.windows_only = 0
        self._search = FrameSearch(detector, tiling, helpers)
        self._tiling = tiling
        self._ids = ids
        self._score = score
        self._leave_after = leave_after
        self._shards = shards
        self._streams: dict[str, FollowedStream] = {}

    def __call__(self, message: Message, *, whole_only: bool = False) -> list[Message]:
        """Answer a `frame/` message with one `faces/` message per shard, with or without faces.

        `whole_only` skips the search for small faces to save time: missing a small face is better
        than dropping a frame.

        Probes and ends are passed on to every shard. Raises MessageError if the picture cannot be
        decoded.
        """
        header = message.header
        assert isinstance(header, Frame)
        if not header.is_data:
            return [self._message(header, shard, ()) for shard in range(self._shards)]
        stream = self._stream(header)
        frame, tracked = stream.next_frame(message, whole_only=whole_only)
        self.windows_only += stream.windows_only
        self.whole_only += whole_only
        return [self._answer(header, frame, shard, tracked) for shard in range(self._shards)]

    def look_ahead(self, messages: Sequence[Message]) -> None:
        """Start to search waiting frames, in processing order.

        These are the frames due for a full search or for tiles.
        """
        ahead: Counter[str] = Counter()
        for message in messages:
            header = message.header
            stream = self._streams.get(header.stream)
            if header.is_data and stream and stream.run == header.run:
                index = stream.frames + ahead[header.stream]
                is_due = stream.is_due(header, index)
                if is_due or self._tiling.has_turn(index):
                    self._search.submit(message, index, whole=is_due)
                ahead[header.stream] += 1

    def begin(self, header: Header, frames: int) -> None:
        """Start the header's stream after its first `frames` frames, which were not seen.

        Tiles are then searched at the same frames as if the stream had been seen from its start.
        """
        self._streams.pop(header.stream, None)
        self._stream(header).frames = frames

    def forget(self, stream: str) -> None:
        """Forget the stream."""
        self._streams.pop(stream, None)

    def state(self, header: Header) -> bytes:
        """Return the state of the stream: its tracks and the number of frames."""
        stream = self._streams.get(header.stream)
        return stream.state() if stream else b""

    def restore(self, header: Header, state: bytes | None) -> None:
        """Replace the state of the stream, or forget it if there is none."""
        self._streams.pop(header.stream, None)
        if state:
            self._stream(header).restore(state)

    def _stream(self, header: Header) -> FollowedStream:
        """Return the stream's state, which is empty for a new run."""
        stream = self._streams.get(header.stream)
        if stream is None or stream.run != header.run:
            ids = balanced_ids(
                self._ids, self._shards, lambda: tracker.present, lambda: self._present
            )
            tracker = Tracker(ids, score=self._score, leave_after=self._leave_after)
            looks = ExtraLooks(self._tiling, self.looks)
            stream = FollowedStream(header.run, self._search, self._tiling, tracker, looks)
            self._streams[header.stream] = stream
        return stream

    @property
    def _present(self) -> Iterator[int]:
        """The ids of the tracks of all streams."""
        return (track for stream in self._streams.values() for track in stream.tracker.present)

    def _answer(
        self, header: Frame, frame: Picture, shard: int, tracked: Sequence[tuple[int, Detection]]
    ) -> Message:
        """Return the message with the faces whose track belongs to `shard`.

        `frame` is the picture with square pixels in which the faces were found.
        """
        mine = [(track, found) for track, found in tracked if track % self._shards == shard]
        located = [found for _, found in mine]
        crops = aligned(frame, located)
        # Measured in the picture with square pixels in which the faces were found.
        height, width = frame.shape[:2]
        qualities = assess_all(crops, located, width, height)
        scale = header.width / width, header.height / height
        faces = tuple(
            _face(*one, quality, scale) for one, quality in zip(mine, qualities, strict=True)
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


def _face(track: int, found: Detection, quality: Quality, scale: tuple[float, float]) -> Face:
    """Return the face in pixels of the original frame, which is `scale` times as wide and high."""
    across, down = scale
    x, y, wide, high = found.box
    return Face(
        track,
        (across * x, down * y, across * wide, down * high),
        found.score,
        tuple((across * x, down * y) for x, y in found.landmarks),
        quality,
    )
