"""The video of all recorded streams: their frames with the results drawn on them."""

import contextlib
import math
from collections.abc import Callable, Set
from pathlib import Path
from typing import Final, TypeAlias

from emostream.services.recorder.metrics import RecorderMetrics
from emostream.services.recorder.stream_recording import StreamRecording
from emostream.shared.annotate import annotate
from emostream.shared.blur import FaceBlur
from emostream.shared.control import StreamSwitch
from emostream.shared.errors import MessageError
from emostream.shared.join import StreamJoin
from emostream.shared.messages import Frame, Header, Message

CLOSE_AFTER: Final = 30.0

MakeRecording: TypeAlias = Callable[[str], StreamRecording]


class VideoRecorder:
    """Writes the frames of the streams that are switched on, blurred where `blur` says so.

    `make` gives a stream's recording, `recorded` says which streams have one. Frames wait up to
    `wait` s for their results. `bad` is called with the error of a picture that cannot be decoded.
    Times are s on a steady clock. Raises RecordingError where nothing can be written.
    """

    def __init__(
        self,
        make: MakeRecording,
        recorded: StreamSwitch,
        blur: FaceBlur,
        metrics: RecorderMetrics,
        bad: Callable[[MessageError], None],
        wait: float = 0.5,
    ) -> None:
        self._make = make
        self._recorded = recorded
        self._blur = blur
        self._metrics = metrics
        self._bad = bad
        self._wait = wait
        self._pending: dict[str, _PendingVideo] = {}

    @property
    def topics(self) -> Set[str]:
        """The topics whose pixels are needed now: they are costly, so no others are asked for."""
        streams = self._recorded.streams
        if self._recorded.default and all(streams.values()):
            return {"frame/"}
        return {f"frame/{stream}/" for stream, on in streams.items() if on}

    @property
    def busy(self) -> Set[Path]:
        """The files that are being written."""
        paths = (pending.recording.path for pending in self._pending.values())
        return {path for path in paths if path}

    def add_stream(self, stream: str) -> None:
        """Note that the stream exists."""
        self._recorded.register(stream)
        self._blur.switch.register(stream)

    def is_recording(self, stream: str) -> bool:
        """Whether the stream's frames are written."""
        return self._recorded.is_on(stream)

    def record(self, stream: str, on: bool) -> None:
        """Start with the stream, or write the frames of it that still wait and finish its file."""
        self._recorded.set(stream, on)
        pending = None if on else self._pending.pop(stream, None)
        if pending is not None:
            self._write(pending, math.inf)
            pending.recording.close()

    def blur(self, stream: str, on: bool) -> None:
        """Blur the stream's faces from the next frame on, or show them."""
        self._blur.switch.set(stream, on)

    def add(self, message: Message, now: float) -> None:
        """Add a frame or an answer; one of a stream that is not recorded is ignored."""
        stream = message.header.stream
        if not self.is_recording(stream):
            return
        if stream not in self._pending:
            self._pending[stream] = _PendingVideo(StreamJoin(self._wait), self._make(stream), now)
        self._pending[stream].add(message, now)

    def end(self, stream: str) -> None:
        """Note that the last frame of the stream's run was added."""
        if pending := self._pending.get(stream):
            pending.ended = True

    def written(self, stream: str) -> Header | None:
        """Return the header of the stream's last frame that left for the file."""
        pending = self._pending.get(stream)
        return pending.written if pending else None

    def write_due(self, now: float) -> None:
        """Write the frames whose wait is over, and finish the files of streams that are over."""
        for pending in self._pending.values():
            self._write(pending, now)
            pending.close_if_over(now)

    def close(self) -> None:
        """Write what still waits and finish all files."""
        with contextlib.ExitStack() as files:
            for pending in self._pending.values():
                files.callback(pending.recording.close)
            for pending in self._pending.values():
                self._write(pending, math.inf)

    def _write(self, pending: "_PendingVideo", now: float) -> None:
        for joined in pending.join.ready(now):
            header = pending.written = joined.frame.header
            assert isinstance(header, Frame)
            self._blur.observe(joined)
            try:
                pending.recording.write(header, annotate(self._blur.picture(joined), joined.faces))
            except MessageError as error:
                self._bad(error)
            else:
                self._metrics.count_video(joined)


class _PendingVideo:
    """One stream's frames on their way to video."""

    def __init__(self, join: StreamJoin, recording: StreamRecording, now: float) -> None:
        self.join = join
        self.recording = recording
        self.written: Header | None = None
        self.ended = False
        self._fed = now

    def add(self, message: Message, now: float) -> None:
        """Add a frame or an answer."""
        self.join.add(message, now)
        if isinstance(message.header, Frame):
            self.ended = False
            self._fed = now

    def close_if_over(self, now: float) -> None:
        """Finish the file after the last frame of a run, and when no frame came for long."""
        if (self.ended and not len(self.join)) or now - self._fed > CLOSE_AFTER:
            self.recording.close()
