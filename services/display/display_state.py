"""The state that the page shows next to the pictures: streams, faces and events."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from emostream.services.display.face_timeline import TimelineSegment
from emostream.services.display.schema import (
    FaceEvent,
    LabelStyle,
    SegmentRow,
    StreamSnapshot,
    Update,
)
from emostream.services.display.stream_record import (
    Answer,
    ShownFrame,
    StreamRecord,
    analyzed,
    snapshot_of,
    state_of,
)
from emostream.shared.colors import colors, ink
from emostream.shared.join import Joined
from emostream.shared.messages import Emotion, Event, Frame

MAX_EVENTS = 200
MAX_LABELS = 1000


class DisplayState:
    """The state of all streams, written by the stage and read by the page's server. Thread-safe.

    Each change increases the revision, so that a reader can ask for changes since its last one.
    `run` identifies this start of the display, because revisions start from 0 each time. Times are
    s on the steady `clock`, latencies use the wall clock `wall` in ns.
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
        self._numbers_revision = 0
        self._streams: dict[str, StreamRecord] = {}
        self._events: deque[tuple[int, FaceEvent]] = deque(maxlen=MAX_EVENTS)

    def add_frame(self, joined: Joined) -> None:
        """Record a frame that is shown now."""
        header = joined.frame.header
        assert isinstance(header, Frame)
        now = self._clock()
        with self._lock:
            stream = self._stream(header.stream)
            stream.first_shown = stream.first_shown or now
            captured = header.local_t
            latency = None if captured is None else (self._wall() - captured) / 1e6
            stream.shown.append(ShownFrame(now, latency))
            stream.frame, stream.faces = header, joined.faces
            stream.ended = False

    def add_results(self, header: Emotion) -> None:
        """Record the results of a frame; a `degraded` answer is ignored."""
        if header.degraded:
            return
        with self._lock:
            self._revision += 1
            stream = self._stream(header.stream)
            stream.answered = self._clock()
            answer = (header.run, header.seq, header.part, header.parts, header.standby)
            stream.answers.append(Answer(stream.answered, *answer))
            stream.timeline.add(header, self._revision)
            stream.faces_seen += len(header.faces)
            stream.left_out.update(face.left_out for face in header.faces if face.left_out)
            for face in header.faces:
                self._add_labels(face.smoothed)
                if not face.left_out:
                    self._number(stream, face.track, header.t)

    def add_event(self, header: Event) -> None:
        """Record an event."""
        with self._lock:
            self._revision += 1
            event = FaceEvent(
                header.stream,
                header.t / 1e6,
                header.kind,
                header.track,
                header.label,
                header.previous,
                round(header.confidence, 3),
                self._number_of(header),
            )
            self._events.append((self._revision, event))
            self._add_labels(label for label in (header.previous, header.label) if label)

    def forget(self, stream: str) -> None:
        """Forget an ended stream, but keep its last events."""
        with self._lock:
            self._streams.pop(stream, None)

    def mark_ended(self, stream: str) -> None:
        """Record that a source ended."""
        with self._lock:
            self._stream(stream).ended = True

    def has_new_names(self, since: int) -> bool:
        """Whether there was a new label or face number after revision `since`."""
        return max(self._labels_revision, self._numbers_revision) > since

    def update(self, since: int) -> Update:
        """Return the streams' states and the changes after revision `since` (0: everything)."""
        now = self._clock()
        with self._lock:
            states = {name: state_of(stream, now) for name, stream in self._streams.items()}
            segments = {
                name: [_row(segment) for segment in stream.timeline.since(since)]
                for name, stream in self._streams.items()
            }
            events = [event for revision, event in self._events if revision > since]
            changed = {name: rows for name, rows in segments.items() if rows}
            labels = _label_styles(tuple(self._labels)) if self._labels_revision > since else []
            numbers = {
                track: number
                for stream in self._streams.values()
                for track, number in stream.numbers.since(since)
            }
            return Update(
                self._revision, since == 0, labels, states, changed, events, numbers=numbers
            )

    def snapshots(self) -> dict[str, StreamSnapshot]:
        """Return each stream's state with its newest frame's faces."""
        now = self._clock()
        with self._lock:
            return {name: snapshot_of(stream, now) for name, stream in self._streams.items()}

    def least_analyzed(self) -> float:
        """Return the share of analyzed frames of the stream in which it is lowest."""
        now = self._clock()
        with self._lock:
            shares = [analyzed(stream, now) for stream in self._streams.values()]
        return min(shares, default=1.0)

    def has_stream(self, stream: str) -> bool:
        """Whether any message of the stream has arrived."""
        return stream in self._streams

    @property
    def revision(self) -> int:
        """The newest revision."""
        return self._revision

    def events(self, since: int) -> list[tuple[int, FaceEvent]]:
        """Return recent events after revision `since`, with their revisions."""
        with self._lock:
            return [(revision, event) for revision, event in self._events if revision > since]

    def _stream(self, name: str) -> StreamRecord:
        """Return the state of a stream, created if it is new. The caller holds the lock."""
        if name not in self._streams:
            self._streams[name] = StreamRecord(self._clock())
        return self._streams[name]

    def _number_of(self, header: Event) -> int:
        """Return the number of the event's face; 0 if its stream is already gone."""
        if header.kind == "leave" and header.stream not in self._streams:
            return 0
        return self._number(self._stream(header.stream), header.track, header.t)

    def _number(self, stream: StreamRecord, track: int, t: int) -> int:
        """Return the track's number, assigned if it is new. The caller holds the lock."""
        if stream.numbers.see(track, t, self._revision):
            self._numbers_revision = self._revision
        return stream.numbers.of(track)

    def _add_labels(self, labels: Iterable[str]) -> None:
        """Record the labels, up to the maximum of a model. The caller holds the lock."""
        before = len(self._labels)
        for label in labels:
            if len(self._labels) < MAX_LABELS:
                self._labels[label] = None
        if len(self._labels) > before:
            self._labels_revision = self._revision


def _label_styles(labels: tuple[str, ...]) -> list[LabelStyle]:
    return [LabelStyle(label, color, ink(color)) for label, color in colors(labels).items()]


def _row(segment: TimelineSegment) -> SegmentRow:
    start, end = segment.start / 1e6, segment.end / 1e6
    return (segment.track, start, end, segment.label, round(segment.confidence, 3))
