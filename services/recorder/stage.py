"""The recorder's stage: from frames and results to rows, annotated video and credit."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from services.recorder.metrics import RecorderMetrics
from services.recorder.retention import Retention
from services.recorder.store import Store, check_numbers
from services.recorder.video import StreamVideo
from shared.annotate import annotate
from shared.errors import MessageError
from shared.join import Joined, StreamJoin
from shared.messages import Credit, Emotion, Event, Frame, Header, Message, common_fields
from shared.pixels import image

CONSUMER: Final = "recorder"
RETENTION_EVERY: Final = 60.0
RETENTION_AGAIN: Final = 0.5
CLOSE_AFTER: Final = 30.0

VideoFactory = Callable[[str], StreamVideo]


class RecorderStage:
    """Records every observation and event, and video of the frames with their results drawn on.

    `video` makes a stream's video, None keeps rows alone: then it needs no frames, and `topics`
    names only what it needs. Frames wait up to `wait` s for their results; results are recorded
    however late they come. `bad` is told of a picture that cannot be decoded and of a number that
    cannot be stored. Times are s on the steady `clock`. Raises RecordingError where nothing can be
    written.
    """

    def __init__(
        self,
        store: Store,
        video: VideoFactory | None,
        retention: Retention,
        metrics: RecorderMetrics,
        bad: Callable[[MessageError], None],
        wait: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.topics = ("emotion/", "event/") if video is None else ("frame/", "emotion/", "event/")
        self._store = store
        self._video = video
        self._retention = retention
        self._retention_due = float("-inf")
        self._metrics = metrics
        self._bad = bad
        self._wait = wait
        self._clock = clock
        self._answers: dict[str, _Answers] = {}
        self._films: dict[str, _Film] = {}
        self._credited: dict[str, tuple[str, int]] = {}

    def __call__(self, messages: Sequence[Message]) -> list[Message]:
        """Record the messages; return `credit/` for what was wholly written since the last call."""
        now = self._clock()
        for message in messages:
            try:
                self._take(message, now)
            except MessageError as error:
                self._bad(error)
        return self.idle(now)

    def idle(self, now: float) -> list[Message]:
        """Do what is due: write frames whose wait is over, commit, delete what is too old."""
        for film in self._films.values():
            self._write(film, now)
            film.close_if_over(now)
        if self._store.due:
            with self._metrics.commit_seconds.time():
                self._store.commit()
        if now >= self._retention_due:
            busy = {film.video.path for film in self._films.values() if film.video.path}
            done = self._retention.enforce(busy)
            self._retention_due = now + (RETENTION_EVERY if done else RETENTION_AGAIN)
        return [] if self._store.pending else list(self._credits())

    def close(self) -> None:
        """Write what still waits and finish all files."""
        with contextlib.ExitStack() as files:
            files.callback(self._store.close)
            for film in self._films.values():
                files.callback(film.video.close)
            for film in self._films.values():
                self._write(film, math.inf)

    def _take(self, message: Message, now: float) -> None:
        header = message.header
        check_numbers(header)
        match header:
            case Frame() | Emotion() if header.end:
                self._end(header)
            case Emotion() if header.is_data:
                self._add_answer(header)
                self._join(message, now)
            case Event() if header.is_data:
                self._store.add_event(header)
                self._metrics.rows.labels("events").inc()
            case Frame() if header.is_data:
                self._join(message, now)

    def _end(self, header: Frame | Emotion) -> None:
        if isinstance(header, Emotion):
            self._store.end_run(header)
        elif film := self._films.get(header.stream):
            film.ended = True

    def _add_answer(self, header: Emotion) -> None:
        answers = self._answers.setdefault(header.stream, _Answers())
        if answers.has(header):
            return
        self._store.add_emotion(header)
        answers.add(header)
        self._metrics.rows.labels("frames").inc()
        self._metrics.rows.labels("observations").inc(len(header.faces))

    def _join(self, message: Message, now: float) -> None:
        if self._video is None:
            return
        stream = message.header.stream
        if stream not in self._films:
            self._films[stream] = _Film(StreamJoin(self._wait), self._video(stream))
        self._films[stream].add(message, now)

    def _write(self, film: "_Film", now: float) -> None:
        for joined in film.join.ready(now):
            film.written = joined.frame.header
            try:
                film.write(joined)
            except MessageError as error:
                self._bad(error)
            else:
                self._metrics.count_video(joined)

    def _credits(self) -> Iterator[Message]:
        for stream, answers in self._answers.items():
            consumed = answers.consumed
            if self._video is not None:
                film = self._films.get(stream)
                consumed = _lower(consumed, film.written if film else None)
            if consumed is None:
                continue
            run, seq = self._credited.get(stream, ("", -1))
            if consumed.run != run or consumed.seq > seq:
                self._credited[stream] = (consumed.run, consumed.seq)
                yield _credit(consumed)


class _Answers:
    """Which of one stream's frames were answered in all their parts."""

    def __init__(self) -> None:
        self._newest: dict[int, Emotion] = {}

    @property
    def consumed(self) -> Header | None:
        """The last frame for which nothing more can come: a part's answers come in order."""
        parts = max((header.parts for header in self._newest.values()), default=1)
        if len(self._newest) < parts:
            return None
        return min(self._newest.values(), key=lambda header: header.seq)

    def has(self, header: Emotion) -> bool:
        """Whether the answer was added before; one that is sent again must not count twice."""
        newest = self._newest.get(header.part)
        return newest is not None and newest.run == header.run and newest.seq >= header.seq

    def add(self, header: Emotion) -> None:
        """Note an answer."""
        if any(newest.run != header.run for newest in self._newest.values()):
            self._newest.clear()
        self._newest[header.part] = header


class _Film:
    """One stream's frames on their way to video."""

    def __init__(self, join: StreamJoin, video: StreamVideo) -> None:
        self.join = join
        self.video = video
        self.written: Header | None = None
        self.ended = False
        self._fed = 0.0

    def add(self, message: Message, now: float) -> None:
        """Add a frame or an answer."""
        self.join.add(message, now)
        if isinstance(message.header, Frame):
            self.ended = False
            self._fed = now

    def write(self, joined: Joined) -> None:
        """Draw the results on the frame and write it; MessageError for a broken picture."""
        header = joined.frame.header
        assert isinstance(header, Frame)
        self.video.write(header, annotate(image(joined.frame), joined.faces))

    def close_if_over(self, now: float) -> None:
        """Finish the file after the last frame of a run, and when no frame came for long."""
        if (self.ended and not len(self.join)) or now - self._fed > CLOSE_AFTER:
            self.video.close()


def _lower(one: Header | None, other: Header | None) -> Header | None:
    if one is None or other is None or one.run != other.run:
        return None
    return min(one, other, key=lambda header: header.seq)


def _credit(header: Header) -> Message:
    return Message(Credit(**common_fields(header), consumer=CONSUMER))
