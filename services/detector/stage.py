"""The detector's stage: a frame in, its faces out, one message for each shard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgpack
import numpy as np

from models.alignment import align
from services.detector.detection import Detection, FaceDetector, Image
from services.detector.tiling import Tiling, merge, search
from services.detector.tracking import Tracker
from shared.messages import Face, Faces, Frame, Header, Message, common_fields
from shared.pixels import image


@dataclass(slots=True)
class _Stream:
    """What is remembered of a stream: its run, its tracks and the frames seen so far."""

    run: str
    tracker: Tracker
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
        crop: int = 64,
    ):
        """Start without streams.

        `ids` gives each new track its id (see `track_ids`), `score` is what a face needs to begin
        a track, `leave_after` the seconds of absence that end one, `crop` the side of the crops.
        """
        self._detector = detector
        self._ids = ids
        self._tiling = tiling
        self._score = score
        self._leave_after = leave_after
        self._shards = shards
        self._crop = crop
        self._streams: dict[str, _Stream] = {}

    def __call__(self, message: Message) -> list[Message]:
        """Answer a `frame/` message with one `faces/` message for each shard, with faces or none.

        Probes and ends are passed on to every shard. Raises MessageError for a frame whose picture
        cannot be decoded.
        """
        header = message.header
        assert isinstance(header, Frame)
        if not header.is_data:
            return [self._message(header, shard, ()) for shard in range(self._shards)]
        frame = image(message)
        stream = self._stream(header)
        tracked = stream.tracker.update(self._detect(frame, stream, header.pts), header.pts)
        return [self._answer(header, frame, shard, tracked) for shard in range(self._shards)]

    def state(self, header: Header) -> bytes:
        """Return what is remembered of the stream: its tracks and the tiles' turn."""
        stream = self._streams.get(header.stream)
        if stream is None:
            return b""
        state: bytes = msgpack.packb((stream.frames, stream.tracker.state()))
        return state

    def restore(self, header: Header, state: bytes | None) -> None:
        """Remember `state` of the stream, or nothing where there is none."""
        self._streams.pop(header.stream, None)
        if state:
            stream = self._stream(header)
            stream.frames, tracks = msgpack.unpackb(state)
            stream.tracker.restore(tracks)

    def _stream(self, header: Header) -> _Stream:
        """Return what is remembered of the stream; nothing, where a new run begins."""
        stream = self._streams.get(header.stream)
        if stream is None or stream.run != header.run:
            tracker = Tracker(self._ids, score=self._score, leave_after=self._leave_after)
            stream = self._streams[header.stream] = _Stream(header.run, tracker)
        return stream

    def _detect(self, frame: Image, stream: _Stream, pts: int) -> list[Detection]:
        """Search the whole frame, its tiles when it is their turn, and where a face is missing."""
        tiles = self._tiling.tiles(frame, stream.frames)
        stream.frames += 1
        found = merge([*self._detector.detect(frame), *search(self._detector, frame, tiles)])
        close_ups = self._tiling.close_ups(frame, stream.tracker.missing(found, pts))
        return merge([*found, *search(self._detector, frame, close_ups)])

    def _answer(
        self, header: Frame, frame: Image, shard: int, tracked: Sequence[tuple[int, Detection]]
    ) -> Message:
        """Return the message with the faces whose track falls to `shard`."""
        mine = [(track, found) for track, found in tracked if track % self._shards == shard]
        crops = align(frame, [found for _, found in mine], self._crop)
        faces = tuple(Face(track, found.box, found.score, found.landmarks) for track, found in mine)
        return self._message(header, shard, faces, np.ascontiguousarray(crops).tobytes())

    def _message(
        self, header: Frame, shard: int, faces: tuple[Face, ...], crops: bytes | None = None
    ) -> Message:
        answer = Faces(
            **common_fields(header),
            width=header.width,
            height=header.height,
            faces=faces,
            crop=(self._crop, self._crop),
            part=shard,
            parts=self._shards,
        )
        return Message(answer, crops, shard)
