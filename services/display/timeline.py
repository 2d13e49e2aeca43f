"""The last minutes of each track, as spans of time over which it kept one label."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from emostream.shared.messages import Emotion, EmotionFace

HISTORY_NS = 300 * 10**9
# A track that was not seen for longer leaves a gap.
GAP_NS = 10**9


@dataclass(slots=True)
class Span:
    """A time over which a track kept one label; `start` and `end` are capture times in ns.

    `confidence` is the mean over the `answers` of the span, `revision` the last that changed it.
    """

    track: int
    label: str
    start: int
    end: int
    confidence: float
    answers: int
    revision: int


class Timeline:
    """The spans of one stream's tracks in its last 5 minutes; what is older is forgotten."""

    def __init__(self) -> None:
        self._tracks: dict[int, deque[Span]] = {}

    def add(self, header: Emotion, revision: int) -> None:
        """Add what an answer says of each face."""
        for face in header.faces:
            self._add(face, header.t, revision)
        self._prune(header.t - HISTORY_NS)

    def since(self, revision: int) -> Iterator[Span]:
        """Yield the spans that changed after the revision."""
        for spans in self._tracks.values():
            for span in reversed(spans):
                # Within a track only later spans change later.
                if span.revision <= revision:
                    break
                yield span

    def _add(self, face: EmotionFace, t: int, revision: int) -> None:
        spans = self._tracks.setdefault(face.track, deque())
        last = spans[-1] if spans else None
        follows = last is not None and 0 <= t - last.end <= GAP_NS
        if last is not None and follows:
            last.end, last.revision = t, revision
            if last.label == face.label:
                last.answers += 1
                last.confidence += (face.confidence - last.confidence) / last.answers
                return
        spans.append(Span(face.track, face.label, t, t, face.confidence, 1, revision))

    def _prune(self, before: int) -> None:
        for track, spans in list(self._tracks.items()):
            while spans and spans[0].end < before:
                spans.popleft()
            if not spans:
                del self._tracks[track]
