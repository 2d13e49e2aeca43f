"""The video of all recorded streams: frames with results drawn on them."""

import math
from collections.abc import Callable, Set
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from emostream.services.recorder.archive.faults import Fault, WriteError
from emostream.services.recorder.fault_status import FaultStatus
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.shared.blur import FaceBlur
from emostream.shared.control import StreamSwitch
from emostream.shared.errors import MessageError
from emostream.shared.join import Joined, StreamJoin
from emostream.shared.messages import Frame, Header, Message
from emostream.shared.recording_report import RecordingReport, RecordingReports

if TYPE_CHECKING:
    from emostream.services.recorder.stream_recording import StreamRecording

CLOSE_AFTER: Final = 30.0
RETRY_AFTER: Final = 2.0

MakeRecording: TypeAlias = "Callable[[str], StreamRecording]"


class VideoRecorder:
    """Writes the frames of the streams that are switched on, blurred if `blur` is on.

    `make` creates a stream's recording, `recorded` says which streams have one. Frames wait up to
    `wait` s for their results. `bad` is called with the error of a picture that cannot be decoded.
    Times are s on a steady clock. If a stream's file cannot be written, it is closed, missing
    frames are counted, and a new file is tried after `RETRY_AFTER` s.
    """

    def __init__(
        self,
        make: MakeRecording,
        recorded: StreamSwitch,
        blur: FaceBlur,
        metrics: RecorderMetrics,
        faults: FaultStatus,
        bad: Callable[[MessageError], None],
        wait: float = 0.5,
    ) -> None:
        self._make = make
        self._recorded = recorded
        self._blur = blur
        self._metrics = metrics
        self._faults = faults
        self._bad = bad
        self._wait = wait
        self._pending: dict[str, _PendingVideo] = {}

    @property
    def topics(self) -> Set[str]:
        """The topics whose pixels are needed now; pixels are costly, so no others are requested."""
        streams = self._recorded.streams
        if self._recorded.default and all(streams.values()):
            return {"frame/"}
        return {f"frame/{stream}/" for stream, on in streams.items() if on}

    @property
    def busy(self) -> Set[Path]:
        """The files being written."""
        paths = (pending.recording.path for pending in self._pending.values())
        return {path for path in paths if path}

    @property
    def recordings(self) -> RecordingReports:
        """The videos being written. Thread-safe."""
        recordings = ((each.stream, each.recording) for each in tuple(self._pending.values()))
        return RecordingReports(
            [
                RecordingReport(stream, str(path), recording.bytes)
                for stream, recording in recordings
                if (path := recording.path)
            ]
        )

    def add_stream(self, stream: str) -> None:
        """Register the stream."""
        self._recorded.register(stream)
        self._blur.switch.register(stream)

    def is_recording(self, stream: str) -> bool:
        """Whether the stream's frames are being written."""
        return self._recorded.is_on(stream)

    def record(self, stream: str, on: bool) -> None:
        """Start recording the stream, or write its waiting frames and finish its file."""
        self._recorded.set(stream, on)
        if not on:
            self._finish(stream, "its recording was stopped")

    def blur(self, stream: str, on: bool) -> None:
        """Blur or unblur the stream's faces from the next frame on."""
        self._blur.switch.set(stream, on)

    def add(self, message: Message, now: float) -> None:
        """Add a frame or an answer; it is ignored if the stream is not recorded."""
        stream = message.header.stream
        if not self.is_recording(stream):
            return
        if stream not in self._pending:
            join, recording = StreamJoin(self._wait), self._make(stream)
            self._pending[stream] = _PendingVideo(stream, join, recording, now)
        self._pending[stream].add(message, now)

    def forget(self, stream: str) -> None:
        """Write the stream's waiting frames, finish its file, and forget it."""
        self._finish(stream, "its stream has ended")
        self._metrics.forget(stream)
        self._recorded.forget(stream)
        self._blur.forget(stream)

    def end(self, stream: str) -> None:
        """Record that the last frame of the stream's run was added."""
        if pending := self._pending.get(stream):
            pending.ended = True

    def written(self, stream: str) -> Header | None:
        """Return the header of the stream's last frame that was passed to the file."""
        pending = self._pending.get(stream)
        return pending.written if pending else None

    def write_due(self, now: float) -> None:
        """Write the frames whose wait is over, and finish the files of ended streams."""
        for pending in self._pending.values():
            self._write(pending, now)
            if pending.is_over(now):
                self._close(pending, now)
                pending.fault = None
                self._faults.end(_part(pending.stream), "its stream has ended")

    def close(self) -> None:
        """Write all waiting frames and finish all files."""
        for pending in self._pending.values():
            self._write(pending, math.inf)
            self._close(pending, math.inf)

    def _finish(self, stream: str, effect: str) -> None:
        """Write the stream's waiting frames and finish its file, if it has one."""
        if pending := self._pending.pop(stream, None):
            self._write(pending, math.inf)
            self._close(pending, math.inf)
            self._faults.end(_part(stream), effect)

    def _write(self, pending: "_PendingVideo", now: float) -> None:
        for joined in pending.join.ready(now):
            self._blur.observe(joined)
            if pending.fault and now <= pending.retry_at:
                self._metrics.count_dropped_video(joined, pending.fault)
                continue
            try:
                self._write_frame(pending, joined)
            except WriteError as error:
                self._begin_fault(pending, error, now)
                self._metrics.count_dropped_video(joined, error.fault)
            except MessageError as error:
                pending.written = joined.frame.header
                self._bad(error)

    def _write_frame(self, pending: "_PendingVideo", joined: Joined) -> None:
        # Imported here: most recorders record no video.
        from emostream.shared.annotate import draw
        from emostream.shared.canvas import PlanesCanvas, to_planes

        header = joined.frame.header
        assert isinstance(header, Frame)
        planes = to_planes(self._blur.picture(joined))
        draw(PlanesCanvas(planes), joined.faces)
        pending.recording.write(header, planes)
        # A frame is written when the next one arrives.
        self._count_last(pending)
        pending.last, pending.written = joined, header
        if pending.fault:
            pending.fault = None
            self._faults.end(_part(header.stream), "its video continues in a new file")

    def _close(self, pending: "_PendingVideo", now: float) -> None:
        try:
            pending.recording.close()
        except WriteError as error:
            self._begin_fault(pending, error, now)
        self._count_last(pending)

    def _begin_fault(self, pending: "_PendingVideo", error: WriteError, now: float) -> None:
        pending.fault, pending.retry_at = error.fault, now + RETRY_AFTER
        if pending.last:
            self._metrics.count_dropped_video(pending.last, error.fault)
            pending.last = None
        self._faults.begin(
            _part(pending.stream), error, f"the video of {pending.stream} is not recorded"
        )

    def _count_last(self, pending: "_PendingVideo") -> None:
        if pending.last:
            self._metrics.count_video(pending.last)
            pending.last = None


class _PendingVideo:
    """One stream's frames waiting for video.

    `last` is the last written frame, until it is certainly on disk. While there is a `fault`,
    nothing is written before `retry_at`.
    """

    def __init__(
        self, stream: str, join: StreamJoin, recording: "StreamRecording", now: float
    ) -> None:
        self.stream = stream
        self.join = join
        self.recording = recording
        self.last: Joined | None = None
        self.written: Header | None = None
        self.fault: Fault | None = None
        self.retry_at = now
        self.ended = False
        self._fed = now

    def add(self, message: Message, now: float) -> None:
        """Add a frame or an answer."""
        self.join.add(message, now)
        if isinstance(message.header, Frame):
            self.ended = False
            self._fed = now

    def is_over(self, now: float) -> bool:
        """Whether the last frame of a run was written, or no frame arrived for a long time."""
        return (self.ended and not len(self.join)) or now - self._fed > CLOSE_AFTER


def _part(stream: str) -> str:
    return f"video of {stream}"
