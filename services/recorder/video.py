"""Video files with the real timestamps of their frames, which play even after a kill."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import av
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from emostream.services.recorder.archive.video_files import unused_path
from emostream.services.recorder.encoding import ENCODERS, VideoTrack
from emostream.shared.errors import RecordingError
from emostream.shared.messages import Frame
from emostream.shared.pixels import Image

# Each frame reaches the disk as a fragment when the next one comes; closing makes it a plain MP4.
CONTAINER: Final = {"movflags": "hybrid_fragmented+frag_every_frame", "flush_packets": "1"}
JUMP_BACK_NS: Final = 10**9
MAX_FILE_NS: Final = 600 * 10**9
MAX_FILE_BYTES: Final = 200_000_000


class VideoWriter:
    """Writes pictures of one size into an MP4 file.

    Odd sizes are padded to even ones, which 4:2:0 needs. A process that is killed leaves a file
    that plays up to the last frame but one. Raises RecordingError where the file cannot be written.
    """

    def __init__(self, path: Path, width: int, height: int, encoder: str = "libx264") -> None:
        self.path = path
        self.bytes = 0
        self._open = True
        with _translated(path):
            self._container = av.open(path, "w", format="mp4", options=CONTAINER)
            self._track = VideoTrack(self._container, width, height, encoder, ENCODERS[encoder])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, image: Image, pts: int) -> None:
        """Add a picture, uint8 (height, width, 3) BGR, that is shown at `pts` ns of the source.

        A pts that is not later than the last one is moved behind it by 1/60000 s.
        """
        with _translated(self.path):
            self._mux(self._track.encode(image, pts))

    def close(self) -> None:
        """Finish the file; a second call does nothing."""
        if not self._open:
            return
        self._open = False
        with _translated(self.path):
            try:
                self._mux(self._track.flush())
            finally:
                self._container.close()

    def _mux(self, packets: "list[Packet[VideoStream]]") -> None:
        for packet in packets:
            self.bytes += packet.size
            self._container.mux(packet)


class StreamVideo:
    """Writes one stream's pictures into files `<UTC time>-<run>-<n>.mp4` in `folder`.

    A new file begins with a new run, another size, a pts that jumps back by a second or more, and
    when the file has `max_bytes` or spans 10 minutes.
    """

    def __init__(
        self, folder: Path, encoder: str = "libx264", max_bytes: int = MAX_FILE_BYTES
    ) -> None:
        self._folder = folder
        self._encoder = encoder
        self._max_bytes = max_bytes
        self._writer: VideoWriter | None = None
        self._first: Frame | None = None
        self._pts = 0

    @property
    def path(self) -> Path | None:
        """The file that is being written."""
        return self._writer.path if self._writer else None

    def write(self, header: Frame, image: Image) -> None:
        """Add the picture of the frame, uint8 (height, width, 3) BGR."""
        if self._writer is None or not self._continues(header):
            self.close()
            self._writer = self._next_writer(header)
            self._first = header
        self._writer.write(image, header.pts)
        self._pts = header.pts

    def close(self) -> None:
        """Finish the file that is being written, if there is one."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _continues(self, header: Frame) -> bool:
        first = self._first
        assert first is not None
        assert self._writer is not None
        return (
            (first.run, first.width, first.height) == (header.run, header.width, header.height)
            and header.pts > self._pts - JUMP_BACK_NS
            and header.pts - first.pts < MAX_FILE_NS
            and self._writer.bytes < self._max_bytes
        )

    def _next_writer(self, header: Frame) -> VideoWriter:
        with _translated(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            path = unused_path(self._folder, header.run, header.t)
        return VideoWriter(path, header.width, header.height, self._encoder)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordingError(
            f"cannot write {path}: {reason}. Make room or allow writing there, set recorder.folder "
            "to another place, or set recorder.video = false"
        ) from error
