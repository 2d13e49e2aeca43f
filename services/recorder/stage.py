"""The recorder's stage: from frames, results and commands to rows, annotated video and credit."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Final

from emostream.services.recorder.archive.writer import ArchiveWriter, check_numbers
from emostream.services.recorder.lossless import CONSUMER
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.services.recorder.retention import Retention
from emostream.services.recorder.video_recorder import VideoRecorder
from emostream.shared.control import RECORD, parse_command
from emostream.shared.errors import MessageError
from emostream.shared.messages import (
    Control,
    Credit,
    Emotion,
    Event,
    Frame,
    Header,
    Message,
    common_fields,
)

RETENTION_EVERY: Final = 60.0
RETENTION_AGAIN: Final = 0.5


class RecorderStage:
    """Records every observation and event, and video of the streams that `video` records.

    Results are recorded however late they come. `bad` is called with the error of what cannot be
    decoded, stored or obeyed. Times are s on the steady `clock`. Raises RecordingError where
    nothing can be written.
    """

    def __init__(
        self,
        archive: ArchiveWriter,
        video: VideoRecorder,
        retention: Retention,
        metrics: RecorderMetrics,
        bad: Callable[[MessageError], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._archive = archive
        self._video = video
        self._retention = retention
        self._retention_due = float("-inf")
        self._metrics = metrics
        self._bad = bad
        self._clock = clock
        self._answers: dict[str, _Answers] = {}
        self._credited: dict[str, tuple[str, int]] = {}

    @property
    def pixel_topics(self) -> Set[str]:
        """The topics whose frames are needed now, beside the results."""
        return self._video.topics

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
        self._video.write_due(now)
        if self._archive.due:
            with self._metrics.commit_seconds.time():
                self._archive.commit()
        if now >= self._retention_due:
            done = self._retention.enforce(self._video.busy)
            self._retention_due = now + (RETENTION_EVERY if done else RETENTION_AGAIN)
        return [] if self._archive.pending else list(self._credits())

    def close(self) -> None:
        """Write what still waits and finish all files."""
        with contextlib.ExitStack() as files:
            files.callback(self._archive.close)
            self._video.close()

    def _take(self, message: Message, now: float) -> None:
        header = message.header
        check_numbers(header)
        match header:
            case Control():
                self._obey(header)
            case Frame() if header.end:
                self._video.end(header.stream)
            case Emotion() if header.end:
                self._archive.end_run(header)
            case Emotion() if header.is_data:
                self._video.add_stream(header.stream)
                self._add_answer(header)
                self._video.add(message, now)
            case Event() if header.is_data:
                self._archive.add_event(header)
                self._metrics.rows.labels("events").inc()
            case Frame() if header.is_data:
                self._video.add_stream(header.stream)
                self._video.add(message, now)

    def _obey(self, header: Control) -> None:
        command, on = parse_command(header)
        if command == RECORD:
            self._video.record(header.stream, on)
        else:
            self._video.blur(header.stream, on)

    def _add_answer(self, header: Emotion) -> None:
        answers = self._answers.setdefault(header.stream, _Answers())
        if answers.has(header):
            return
        self._archive.add_emotion(header)
        answers.add(header)
        self._metrics.count_answer(header)

    def _credits(self) -> Iterator[Message]:
        for stream, answers in self._answers.items():
            consumed = answers.consumed
            if self._video.is_recording(stream):
                consumed = _lower(consumed, self._video.written(stream))
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


def _lower(one: Header | None, other: Header | None) -> Header | None:
    if one is None or other is None or one.run != other.run:
        return None
    return min(one, other, key=lambda header: header.seq)


def _credit(header: Header) -> Message:
    return Message(Credit(**common_fields(header), consumer=CONSUMER))
