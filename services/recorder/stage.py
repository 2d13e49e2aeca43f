"""The recorder's stage: converts frames, results and commands to rows, video and credit."""

import time
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Final

from emostream.services.recorder.archive.writer import check_numbers
from emostream.services.recorder.buffered_archive import BufferedArchive
from emostream.services.recorder.lossless import CONSUMER
from emostream.services.recorder.retention import Retention
from emostream.services.recorder.video_recorder import VideoRecorder
from emostream.shared.control import RECORD, parse_command
from emostream.shared.errors import MessageError
from emostream.shared.join import RESUMED_AFTER
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
from emostream.shared.recording_report import RecordingReports

RETENTION_EVERY: Final = 60.0
RETENTION_AGAIN: Final = 0.5


class RecorderStage:
    """Records every observation and event, and video of the streams that `video` records.

    Results are recorded however late they arrive. `bad` is called with the error of a message that
    cannot be decoded, stored or obeyed, `progressed` with the stream of each accepted answer. Times
    are s on the steady `clock`. It keeps running while nothing can be written, because viewing does
    not depend on recording.
    """

    def __init__(
        self,
        archive: BufferedArchive,
        video: VideoRecorder,
        retention: Retention,
        bad: Callable[[MessageError], None],
        clock: Callable[[], float] = time.monotonic,
        progressed: Callable[[str], None] = lambda stream: None,
    ) -> None:
        self._archive = archive
        self._video = video
        self._retention = retention
        self._retention_due = float("-inf")
        self._bad = bad
        self._progressed = progressed
        self._clock = clock
        self._taken: dict[str, _Answers] = {}
        self._written: dict[str, _Answers] = {}
        self._credited: dict[str, tuple[str, int]] = {}

    @property
    def pixel_topics(self) -> Set[str]:
        """The topics whose frames are needed now, in addition to the results."""
        return self._video.topics

    @property
    def recordings(self) -> RecordingReports:
        """The videos being written."""
        return self._video.recordings

    def __call__(self, messages: Sequence[Message]) -> list[Message]:
        """Record the messages; return `credit/` for frames completed since the last call."""
        now = self._clock()
        for message in messages:
            try:
                self._take(message, now)
            except MessageError as error:
                self._bad(error)
        return self.idle(now)

    def idle(self, now: float) -> list[Message]:
        """Do time-based work: write frames whose wait is over, commit, delete old recordings."""
        self._video.write_due(now)
        for result in self._archive.write_due():
            if isinstance(result, Emotion) and result.is_data:
                self._written.setdefault(result.stream, _Answers()).add(result)
        if now >= self._retention_due:
            self._enforce_limits(now)
        return list(self._credits())

    def forget(self, stream: str) -> None:
        """Forget the stream, and finish its files."""
        self._video.forget(stream)
        self._archive.forget(stream)
        self._taken.pop(stream, None)
        self._written.pop(stream, None)
        self._credited.pop(stream, None)

    def close(self) -> None:
        """Write all waiting data and finish all files; IncompleteRecordingError for lost rows."""
        self._video.close()
        self._archive.close()

    def _enforce_limits(self, now: float) -> None:
        done = True
        with self._archive.noting_faults():
            done = self._retention.enforce(self._archive.writer, self._video.busy)
        self._retention_due = now + (RETENTION_EVERY if done else RETENTION_AGAIN)

    def _take(self, message: Message, now: float) -> None:
        header = message.header
        check_numbers(header)
        match header:
            case Control():
                self._obey(header)
            case Frame() if header.end:
                self._video.end(header.stream)
            case Emotion() if header.end:
                self._archive.add(header)
            case Emotion() if header.is_data:
                self._video.add_stream(header.stream)
                self._add_answer(header)
                self._video.add(message, now)
            case Event() if header.is_data:
                self._archive.add(header)
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
        taken = self._taken.setdefault(header.stream, _Answers())
        if not taken.has(header):
            taken.add(header)
            self._archive.add(header)
            self._progressed(header.stream)

    def _credits(self) -> Iterator[Message]:
        for stream, answers in self._written.items():
            consumed = answers.consumed
            if self._video.is_recording(stream):
                consumed = _lower(consumed, self._video.written(stream))
            if consumed is None:
                continue
            run, seq = self._credited.get(stream, ("", -1))
            if (consumed.run, consumed.seq) != (run, seq):
                self._credited[stream] = (consumed.run, consumed.seq)
                yield _credit(consumed)


class _Answers:
    """Tracks which frames of a stream were answered in all parts."""

    def __init__(self) -> None:
        self._newest: dict[int, Emotion] = {}
        self._earlier = 0

    @property
    def consumed(self) -> Header | None:
        """The last completed frame, because a part's answers arrive in order."""
        parts = max((header.parts for header in self._newest.values()), default=1)
        if len(self._newest) < parts:
            return None
        return min(self._newest.values(), key=lambda header: header.seq)

    def has(self, header: Emotion) -> bool:
        """Whether the answer was already added, so that a repeated one does not count twice.

        After several consecutive repeated answers, the stream continues there: the newest one was
        the outlier.
        """
        newest = self._newest.get(header.part)
        if newest is None or newest.run != header.run or newest.seq < header.seq:
            return False
        self._earlier += 1
        return self._earlier < RESUMED_AFTER

    def add(self, header: Emotion) -> None:
        """Record an answer."""
        others = (header.run, header.parts)
        if any((newest.run, newest.parts) != others for newest in self._newest.values()):
            self._newest.clear()
        self._newest[header.part] = header
        self._earlier = 0


def _lower(one: Header | None, other: Header | None) -> Header | None:
    if one is None or other is None or one.run != other.run:
        return None
    return min(one, other, key=lambda header: header.seq)


def _credit(header: Header) -> Message:
    return Message(Credit(**common_fields(header), consumer=CONSUMER))
