"""A video file with the real timestamps of its frames, which plays even after a kill."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import av
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from emostream.services.recorder.encoding import ENCODERS, SQUARE, VideoTrack
from emostream.services.recorder.private_files import make_file
from emostream.shared.errors import RecordingError
from emostream.shared.pixels import Image

# Each frame reaches the disk as a fragment when the next one comes; closing makes it a plain MP4.
CONTAINER: Final = {"movflags": "hybrid_fragmented+frag_every_frame", "flush_packets": "1"}


class VideoFile:
    """Writes pictures of one size into an MP4 file.

    Odd sizes are padded to even ones, which 4:2:0 needs. A process that is killed leaves a file
    that plays up to the last frame but one. `aspect` is a pixel's width by its height. Raises
    RecordingError where the file cannot be written.
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
        with writing_video(path):
            make_file(path)
            self._container = av.open(path, "w", format="mp4", options=CONTAINER)
            self._track = VideoTrack(
                self._container, width, height, encoder, ENCODERS[encoder], aspect=aspect
            )

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
        with writing_video(self.path):
            self._mux(self._track.encode(image, pts))

    def close(self) -> None:
        """Finish the file; a second call does nothing."""
        if not self._open:
            return
        self._open = False
        with writing_video(self.path):
            try:
                self._mux(self._track.flush())
            finally:
                self._container.close()

    def _mux(self, packets: "list[Packet[VideoStream]]") -> None:
        for packet in packets:
            self.bytes += packet.size
            self._container.mux(packet)


@contextlib.contextmanager
def writing_video(path: Path) -> Iterator[None]:
    """Turn the errors of FFmpeg and of the disk into RecordingError, with the way out."""
    try:
        yield
    except (FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordingError(
            f"cannot write {path}: {reason}. Make room or allow writing there, set recorder.folder "
            "to another place, or set recorder.video = false"
        ) from error
