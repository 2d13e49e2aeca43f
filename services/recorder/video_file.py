"""A video file with real timestamps, which is playable even after a kill."""

import contextlib
import errno
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import av
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from emostream.services.recorder.archive.faults import WriteError, file_fault
from emostream.services.recorder.encoding import ENCODERS, SQUARE, VideoTrack
from emostream.services.recorder.mp4_boxes import cut_incomplete
from emostream.services.recorder.private_files import make_file
from emostream.shared.pixels import Image

# Each frame is written as a fragment when the next one arrives; closing makes it a plain MP4.
CONTAINER: Final = {"movflags": "hybrid_fragmented+frag_every_frame", "flush_packets": "1"}


class VideoFile:
    """Writes pictures of one size to an MP4 file.

    Odd sizes are padded to even ones for 4:2:0. After a kill, the file is playable up to the
    second-to-last frame. `aspect` is pixel width divided by height. Raises WriteError if the file
    cannot be written, or is no longer at its path: it is then closed, playable up to the
    second-to-last frame, and deleted if it has none.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        encoder: str = "libx264",
        *,
        aspect: Fraction = SQUARE,
    ) -> None:
        self.path = path
        self.bytes = 0
        self._open = True
        with writing_video(path), contextlib.ExitStack() as on_error:
            make_file(path)
            on_error.callback(path.unlink, missing_ok=True)
            self._inode = path.stat().st_ino
            self._container = av.open(path, "w", format="mp4", options=CONTAINER)
            self._track = VideoTrack(
                self._container, width, height, encoder, ENCODERS[encoder], aspect=aspect
            )
            on_error.pop_all()

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

        A pts that is not later than the last one is moved to 1/60000 s after it.
        """
        with writing_video(self.path), self._closed_on_error():
            if not self._is_at_path:
                raise FileNotFoundError(errno.ENOENT, "it was deleted or replaced")
            self._mux(self._track.encode(image, pts))

    def close(self) -> None:
        """Finish the file; a second call does nothing."""
        if not self._open:
            return
        with writing_video(self.path), self._closed_on_error():
            self._mux(self._track.flush())
            self._container.close()
        self._open = False

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except (FFmpegError, OSError, WriteError):
            self._open = False
            # Pending writes fail for the same reason.
            with contextlib.suppress(FFmpegError, OSError, WriteError):
                self._container.close()
            with contextlib.suppress(OSError):
                if self._is_at_path:
                    cut_incomplete(self.path)
            raise

    @property
    def _is_at_path(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _mux(self, packets: "list[Packet[VideoStream]]") -> None:
        for packet in packets:
            self.bytes += packet.size
            self._container.mux(packet)


@contextlib.contextmanager
def writing_video(path: Path) -> Iterator[None]:
    """Convert errors from FFmpeg and the disk to WriteError."""
    try:
        yield
    except (FFmpegError, OSError) as error:
        fault = file_fault(error.errno, path)
        raise WriteError(fault, str(path), error.strerror or error) from error
