"""The last minutes of each stream: which label each track showed when, and what happened."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.messages import EmotionFace, Event

KEEP_MS: Final = 300_000
# A face that was away for longer than this gets a gap in its timeline.
GAP_MS: Final = 1_500
MOST_EVENTS: Final = 50
# A track's id is the detector's start << 20 and a number, which alone people need to see.
NUMBER_MASK: Final = (1 << 20) - 1


@dataclass(slots=True)
class Segment:
    """A time, in ms since the epoch, during which a track showed one label."""

    label: str
    begin: int
    end: int
    confidence: float
    frames: int = 1

    def extend(self, end: int, confidence: float) -> None:
        """Go on until `end`; the confidence is the mean over the frames."""
        self.end = end
        self.frames += 1
        self.confidence += (confidence - self.confidence) / self.frames


@dataclass(slots=True)
class History:
    """One stream's tracks and events; older than five minutes, they are forgotten."""

    tracks: dict[int, deque[Segment]] = field(default_factory=dict)
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS))

    def see(self, faces: Sequence[EmotionFace], now: int) -> None:
        """Note what the faces show at `now`, ms since the epoch."""
        for face in faces:
            segments = self.tracks.setdefault(face.track, deque())
            last = segments[-1] if segments else None
            if last and last.label == face.label and now - last.end <= GAP_MS:
                last.extend(now, face.confidence)
                continue
            if last and now - last.end <= GAP_MS:
                last.end = now
            segments.append(Segment(face.label, now, now, face.confidence))

    def happened(self, event: Event) -> None:
        """Note an event."""
        self.events.append(
            {
                "t": event.t // 1_000_000,
                "kind": event.kind,
                "track": event.track,
                "number": event.track & NUMBER_MASK,
                "label": event.label,
                "previous": event.previous,
                "confidence": round(event.confidence, 3),
            }
        )

    def forget(self, now: int) -> None:
        """Drop what ended more than five minutes before `now`."""
        for segments in self.tracks.values():
            while segments and now - segments[0].end > KEEP_MS:
                segments.popleft()
        self.tracks = {track: segments for track, segments in self.tracks.items() if segments}

    def as_json(self) -> dict[str, Any]:
        """Return the tracks, each with [label, begin, end, confidence] rows, and the events."""
        return {
            "timeline": [
                {
                    "track": track,
                    "number": track & NUMBER_MASK,
                    "segments": [
                        [one.label, one.begin, one.end, round(one.confidence, 3)]
                        for one in segments
                    ],
                }
                for track, segments in self.tracks.items()
            ],
            "events": list(self.events),
        }
