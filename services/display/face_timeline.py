"""The last minutes of each track, as time segments with one label."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from emostream.shared.messages import Emotion, EmotionFace

HISTORY_NS = 300 * 10**9
# A track that is not seen for longer than this leaves a gap.
GAP_NS = 10**9
# Far more faces than pass a camera in HISTORY_NS; the oldest are forgotten first.
MAX_TRACKS = 2000
MAX_SEGMENTS = 2000  # of a track


@dataclass(slots=True)
class TimelineSegment:
    """A time segment in which a track kept one label; `start` and `end` are capture times in ns.

    `confidence` is the mean over the `answers` of the segment, `revision` its last change.
    """

    track: int
    label: str
    start: int
    end: int
    confidence: float
    answers: int
    revision: int


class FaceTimeline:
    """The segments of one stream's tracks in the last 5 minutes; older ones are forgotten."""

    def __init__(self) -> None:
        self._tracks: dict[int, deque[TimelineSegment]] = {}

    def add(self, header: Emotion, revision: int) -> None:
        """Add the results of a frame, for each face that counts."""
        for face in header.faces:
            if not face.left_out:
                self._add(face, header.t, revision)
        self._prune(header.t)

    def since(self, revision: int) -> Iterator[TimelineSegment]:
        """Yield the segments that changed after the revision."""
        for segments in self._tracks.values():
            for segment in reversed(segments):
                # Within a track, later segments have later changes.
                if segment.revision <= revision:
                    break
                yield segment

    def _add(self, face: EmotionFace, t: int, revision: int) -> None:
        segments = self._tracks.setdefault(face.track, deque(maxlen=MAX_SEGMENTS))
        last = segments[-1] if segments else None
        follows = last is not None and 0 <= t - last.end <= GAP_NS
        if last is not None and follows:
            last.end, last.revision = t, revision
            if last.label == face.label:
                last.answers += 1
                last.confidence += (face.confidence - last.confidence) / last.answers
                return
        segments.append(TimelineSegment(face.track, face.label, t, t, face.confidence, 1, revision))

    def _prune(self, now: int) -> None:
        """Forget segments far in the past, and in the future, in case a clock was set back."""
        for track, segments in list(self._tracks.items()):
            while segments and abs(segments[0].end - now) > HISTORY_NS:
                segments.popleft()
            if not segments:
                del self._tracks[track]
        while len(self._tracks) > MAX_TRACKS:
            del self._tracks[next(iter(self._tracks))]
