"""What the page tells beside the pictures: each stream's state, timelines and events."""

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from emostream.services.display.news import (
    FaceState,
    Happening,
    Look,
    News,
    SpanRow,
    StreamNow,
    StreamState,
)
from emostream.services.display.timeline import Span, Timeline
from emostream.shared.colors import colors, ink
from emostream.shared.join import Joined
from emostream.shared.messages import Emotion, EmotionFace, Event, Frame

EVENTS = 200
RATE_OVER_S = 2.0
# Frames come, but no answer was among them for so long.
STALE_AFTER_S = 2.0


class _Stream:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.shown: deque[tuple[float, float]] = deque(maxlen=512)
        self.frame: Frame | None = None
        self.faces: tuple[EmotionFace, ...] = ()
        self.answered = float("-inf")
        self.first_shown = 0.0
        self.ended = False


class Board:
    """The state of all streams; written by the stage, read by the page's server, on any thread.

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
        self._labelled = 0
        self._streams: dict[str, _Stream] = {}
        self._events: deque[tuple[int, Happening]] = deque(maxlen=EVENTS)

    def shown(self, joined: Joined) -> None:
        """Note a frame that is shown now."""
        header = joined.frame.header
        assert isinstance(header, Frame)
        now = self._clock()
        with self._lock:
            stream = self._streams.setdefault(header.stream, _Stream())
            stream.first_shown = stream.first_shown or now
            stream.shown.append((now, (self._wall() - header.t) / 1e6))
            stream.frame, stream.faces = header, joined.faces
            stream.ended = False

    def answered(self, header: Emotion) -> None:
        """Note the results of a frame; a `degraded` answer tells nothing."""
        if header.degraded:
            return
        with self._lock:
            self._revision += 1
            stream = self._streams.setdefault(header.stream, _Stream())
            stream.answered = self._clock()
            stream.timeline.add(header, self._revision)
            for face in header.faces:
                self._learn(face.smoothed)

    def happened(self, header: Event) -> None:
        """Note an event."""
        happening = Happening(
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
            self._events.append((self._revision, happening))
            self._learn(label for label in (header.previous, header.label) if label)

    def ended(self, stream: str) -> None:
        """Note that a source came to its end."""
        with self._lock:
            self._streams.setdefault(stream, _Stream()).ended = True

    def has_new_labels(self, since: int) -> bool:
        """Whether a label was first seen after revision `since`."""
        return self._labelled > since

    def news(self, since: int) -> News:
        """Return the streams' states and what changed after revision `since` (0: everything)."""
        now = self._clock()
        with self._lock:
            states = {name: _state(stream, now) for name, stream in self._streams.items()}
            spans = {
                name: [_row(span) for span in stream.timeline.since(since)]
                for name, stream in self._streams.items()
            }
            events = [happening for revision, happening in self._events if revision > since]
            changed = {name: rows for name, rows in spans.items() if rows}
            labels = _looks(tuple(self._labels)) if self._labelled > since else []
            return News(self._revision, since == 0, labels, states, changed, events)

    def now(self) -> dict[str, StreamNow]:
        """Return each stream's state with what its newest frame shows."""
        now = self._clock()
        with self._lock:
            return {name: _now(stream, now) for name, stream in self._streams.items()}

    def knows(self, stream: str) -> bool:
        """Whether anything came of the stream."""
        return stream in self._streams

    @property
    def revision(self) -> int:
        """The newest revision."""
        return self._revision

    def happenings(self, since: int) -> list[tuple[int, Happening]]:
        """Return the events after revision `since`, each with its own; only the last are kept."""
        with self._lock:
            return [(revision, event) for revision, event in self._events if revision > since]

    def _learn(self, labels: Iterable[str]) -> None:
        """Note the labels; the lock is held."""
        before = len(self._labels)
        self._labels.update(dict.fromkeys(labels))
        if len(self._labels) > before:
            self._labelled = self._revision


def _looks(labels: tuple[str, ...]) -> list[Look]:
    return [Look(label, color, ink(color)) for label, color in colors(labels).items()]


def _state(stream: _Stream, now: float) -> StreamState:
    recent = [(at, latency) for at, latency in stream.shown if now - at <= RATE_OVER_S]
    last = stream.shown[-1][0] if stream.shown else stream.answered
    since_answer = now - max(stream.answered, stream.first_shown)
    return StreamState(
        fps=round(_rate([at for at, _ in recent]), 1),
        latency_ms=round(statistics.median(latency for _, latency in recent), 1) if recent else 0.0,
        age_ms=round(1000 * (now - last)),
        t=stream.frame.t / 1e6 if stream.frame else 0.0,
        stale=bool(recent) and since_answer > STALE_AFTER_S,
        ended=stream.ended,
    )


def _now(stream: _Stream, now: float) -> StreamNow:
    state = msgspec.structs.asdict(_state(stream, now))
    faces = [FaceState.of(face) for face in stream.faces]
    if stream.frame is None:
        return StreamNow(**state, faces=faces)
    frame = stream.frame
    return StreamNow(
        **state, faces=faces, width=frame.width, height=frame.height, seq=frame.seq, run=frame.run
    )


def _rate(times: list[float]) -> float:
    """Return how many a second come at these times."""
    if len(times) < 2:
        return 0.0
    return (len(times) - 1) / max(times[-1] - times[0], 1e-3)


def _row(span: Span) -> SpanRow:
    return (span.track, span.start / 1e6, span.end / 1e6, span.label, round(span.confidence, 3))
