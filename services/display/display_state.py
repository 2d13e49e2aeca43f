"""The state that the page shows beside the pictures: of each stream, its faces and its events."""

import statistics
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

import msgspec

from emostream.services.display.face_timeline import FaceTimeline, TimelineSegment
from emostream.services.display.schema import (
    FaceEvent,
    FaceState,
    LabelStyle,
    SegmentRow,
    StreamSnapshot,
    StreamState,
    Update,
)
from emostream.shared.colors import colors, ink
from emostream.shared.join import Joined
from emostream.shared.left_out import REASONS
from emostream.shared.messages import Emotion, EmotionFace, Event, Frame

MAX_EVENTS = 200
MAX_LABELS = 1000
RATE_OVER_S = 2.0
# A stream is stale when frames came for this long without any answer.
STALE_AFTER_S = 2.0


class _Stream:
    def __init__(self, now: float) -> None:
        # What is first heard of a stream may be its end.
        self.heard = now
        self.timeline = FaceTimeline()
        self.shown: deque[tuple[float, float]] = deque(maxlen=512)
        self.frame: Frame | None = None
        self.faces: tuple[EmotionFace, ...] = ()
        self.faces_seen = 0
        self.left_out = Counter(dict.fromkeys(REASONS, 0))
        self.answered = float("-inf")
        self.first_shown = 0.0
        self.ended = False


class DisplayState:
    """The state of all streams; written by the stage, read by the page's server, on any thread.

    Each change raises the revision, so that a reader can ask for what changed since its last one.
    `run` names this start of the display: revisions count from 0 in each.
    Times are s on the steady `clock`, latencies come from the wall clock `wall` in ns.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self.run = f"{wall() // 1_000_000:x}"
        self._revision = 0
        self._labels: dict[str, None] = {}
        self._labels_revision = 0
        self._streams: dict[str, _Stream] = {}
        self._events: deque[tuple[int, FaceEvent]] = deque(maxlen=MAX_EVENTS)

    def add_frame(self, joined: Joined) -> None:
        """Note a frame that is shown now."""
        header = joined.frame.header
        assert isinstance(header, Frame)
        now = self._clock()
        with self._lock:
            stream = self._stream(header.stream)
            stream.first_shown = stream.first_shown or now
            stream.shown.append((now, (self._wall() - header.t) / 1e6))
            stream.frame, stream.faces = header, joined.faces
            stream.ended = False

    def add_results(self, header: Emotion) -> None:
        """Note the results of a frame; a `degraded` answer is ignored."""
        if header.degraded:
            return
        with self._lock:
            self._revision += 1
            stream = self._stream(header.stream)
            stream.answered = self._clock()
            stream.timeline.add(header, self._revision)
            stream.faces_seen += len(header.faces)
            stream.left_out.update(face.left_out for face in header.faces if face.left_out)
            for face in header.faces:
                self._add_labels(face.smoothed)

    def add_event(self, header: Event) -> None:
        """Note an event."""
        event = FaceEvent(
            header.stream,
            header.t / 1e6,
            header.kind,
            header.track,
            header.label,
            header.previous,
            round(header.confidence, 3),
        )
        with self._lock:
            self._revision += 1
            self._events.append((self._revision, event))
            self._add_labels(label for label in (header.previous, header.label) if label)

    def forget(self, stream: str) -> None:
        """Forget a stream that is gone; its last events stay."""
        with self._lock:
            self._streams.pop(stream, None)

    def mark_ended(self, stream: str) -> None:
        """Note that a source came to its end."""
        with self._lock:
            self._stream(stream).ended = True

    def has_new_labels(self, since: int) -> bool:
        """Whether a label was first seen after revision `since`."""
        return self._labels_revision > since

    def update(self, since: int) -> Update:
        """Return the streams' states and what changed after revision `since` (0: everything)."""
        now = self._clock()
        with self._lock:
            states = {name: _state(stream, now) for name, stream in self._streams.items()}
            segments = {
                name: [_row(segment) for segment in stream.timeline.since(since)]
                for name, stream in self._streams.items()
            }
            events = [event for revision, event in self._events if revision > since]
            changed = {name: rows for name, rows in segments.items() if rows}
            labels = _label_styles(tuple(self._labels)) if self.has_new_labels(since) else []
            return Update(self._revision, since == 0, labels, states, changed, events)

    def snapshots(self) -> dict[str, StreamSnapshot]:
        """Return each stream's state with what its newest frame shows."""
        now = self._clock()
        with self._lock:
            return {name: _snapshot(stream, now) for name, stream in self._streams.items()}

    def has_stream(self, stream: str) -> bool:
        """Whether anything came of the stream."""
        return stream in self._streams

    @property
    def revision(self) -> int:
        """The newest revision."""
        return self._revision

    def events(self, since: int) -> list[tuple[int, FaceEvent]]:
        """Return the events after revision `since`, each with its own; only the last are kept."""
        with self._lock:
            return [(revision, event) for revision, event in self._events if revision > since]

    def _stream(self, name: str) -> _Stream:
        """Return the state of a stream, new where nothing came of it yet; the lock is held."""
        if name not in self._streams:
            self._streams[name] = _Stream(self._clock())
        return self._streams[name]

    def _add_labels(self, labels: Iterable[str]) -> None:
        """Note the labels, as many as any model has; the lock is held."""
        before = len(self._labels)
        for label in labels:
            if len(self._labels) < MAX_LABELS:
                self._labels[label] = None
        if len(self._labels) > before:
            self._labels_revision = self._revision


def _label_styles(labels: tuple[str, ...]) -> list[LabelStyle]:
    return [LabelStyle(label, color, ink(color)) for label, color in colors(labels).items()]


def _state(stream: _Stream, now: float) -> StreamState:
    recent = [(at, latency) for at, latency in stream.shown if now - at <= RATE_OVER_S]
    last = stream.shown[-1][0] if stream.shown else max(stream.answered, stream.heard)
    since_answer = now - max(stream.answered, stream.first_shown)
    return StreamState(
        fps=round(_rate([at for at, _ in recent]), 1),
        latency_ms=round(statistics.median(latency for _, latency in recent), 1) if recent else 0.0,
        age_ms=round(1000 * (now - last)),
        t=stream.frame.t / 1e6 if stream.frame else 0.0,
        stale=bool(recent) and since_answer > STALE_AFTER_S,
        ended=stream.ended,
        faces_seen=stream.faces_seen,
        left_out=dict(stream.left_out),
    )


def _snapshot(stream: _Stream, now: float) -> StreamSnapshot:
    state = msgspec.structs.asdict(_state(stream, now))
    faces = [FaceState.of(face) for face in stream.faces]
    if stream.frame is None:
        return StreamSnapshot(**state, faces=faces)
    frame = stream.frame
    return StreamSnapshot(
        **state, faces=faces, width=frame.width, height=frame.height, seq=frame.seq, run=frame.run
    )


def _rate(times: list[float]) -> float:
    """Return the rate a second of what came at these times."""
    if len(times) < 2:
        return 0.0
    return (len(times) - 1) / max(times[-1] - times[0], 1e-3)


def _row(segment: TimelineSegment) -> SegmentRow:
    start, end = segment.start / 1e6, segment.end / 1e6
    return (segment.track, start, end, segment.label, round(segment.confidence, 3))
