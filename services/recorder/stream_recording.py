"""One stream's recorded video: files of limited length, each with one run and picture size."""

from fractions import Fraction
from pathlib import Path
from typing import Final

from emostream.services.recorder.archive.faults import WriteError
from emostream.services.recorder.archive.video_files import unused_path
from emostream.services.recorder.private_files import make_folder
from emostream.services.recorder.video_file import VideoFile, writing_video
from emostream.shared.messages import Frame
from emostream.shared.pixels import Image

JUMP_BACK_NS: Final = 10**9
MAX_FILE_NS: Final = 600 * 10**9
MAX_FILE_BYTES: Final = 200_000_000


class StreamRecording:
    """Writes one stream's pictures to files `<UTC time>-<run>-<n>.mp4` in `folder`.

    A new file starts for a new run, another size or pixel aspect, a pts that jumps back by a second
    or more, after `max_bytes` or 10 minutes, and after a WriteError.
    """

    def __init__(self, folder: Path, encoder: str, max_bytes: int = MAX_FILE_BYTES) -> None:
        self._folder = folder
        self._encoder = encoder
        self._max_bytes = max_bytes
        self._file: VideoFile | None = None
        self._finished_bytes = 0
        self._first: Frame | None = None
        self._pts = 0

    @property
    def path(self) -> Path | None:
        """The file being written."""
        return self._file.path if self._file else None

    @property
    def bytes(self) -> int:
        """The total bytes of the recording's files so far, without container overhead."""
        return self._finished_bytes + (self._file.bytes if self._file else 0)

    def write(self, header: Frame, image: Image) -> None:
        """Add the picture of the frame, uint8 (height, width, 3) BGR.

        Raises WriteError if it cannot be written; the file then ends before the last picture.
        """
        if self._file is None or not self._continues(header):
            self.close()
            self._file = self._next_file(header)
            self._first = header
        try:
            self._file.write(image, header.pts)
        except WriteError:
            self._leave_file()  # it is already closed
            raise
        self._pts = header.pts

    def close(self) -> None:
        """Finish the file being written, if there is one."""
        if file := self._leave_file():
            file.close()

    def _leave_file(self) -> VideoFile | None:
        file, self._file = self._file, None
        if file is not None:
            self._finished_bytes += file.bytes
        return file

    def _continues(self, header: Frame) -> bool:
        first = self._first
        assert first is not None
        assert self._file is not None
        return (
            _form(first) == _form(header)
            and header.pts > self._pts - JUMP_BACK_NS
            and header.pts - first.pts < MAX_FILE_NS
            and self._file.bytes < self._max_bytes
        )

    def _next_file(self, header: Frame) -> VideoFile:
        with writing_video(self._folder):
            make_folder(self._folder)
            path = unused_path(self._folder, header.run, header.t)
        aspect = Fraction(header.pixel_aspect).limit_denominator(1000)
        return VideoFile(path, header.width, header.height, self._encoder, aspect=aspect)


def _form(header: Frame) -> tuple[str, int, int, float]:
    return header.run, header.width, header.height, header.pixel_aspect
