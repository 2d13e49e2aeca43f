"""Opens local and remote recordings."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
from av.container import InputContainer
from av.video.stream import VideoStream

from emostream.services.capture.ffmpeg.container import open_container
from emostream.services.capture.ffmpeg.video_file import declared_length, open_file
from emostream.services.cli.batch.store import filesystem, is_remote, reason_of, refusals
from emostream.shared.errors import SourceError
from emostream.shared.still_image import read_still


class Media(msgspec.Struct, frozen=True):
    """A video or a photo: its path or URL, and its name in messages and rows.

    `recording` is the stream name in its rows, and the name of its partition of the results; all
    photos share one.
    """

    url: str
    name: str
    recording: str
    is_photo: bool = False


@contextlib.contextmanager
def open_video(url: str) -> Iterator[tuple[InputContainer, VideoStream, float]]:
    """Open a video file; yield it, its video, and its declared length in s (0: see FFmpeg).

    From object storage, only the needed parts are read. Raises SourceError if it cannot be read.
    """
    if not is_remote(url):
        path = Path(url)
        with open_file(path) as (container, stream):
            yield container, stream, declared_length(container, path)
        return
    with open_remote(url) as file, open_container(file, url, None, {}) as (container, stream):
        yield container, stream, 0.0


@contextlib.contextmanager
def open_remote(url: str) -> Iterator[IO[bytes]]:
    """Open a file in object storage; SourceError if it cannot be read."""
    files, path = filesystem(url)
    try:
        with files.open(path, "rb") as file:
            yield file
    except refusals() as error:
        raise SourceError(f"{url}: {reason_of(error)}") from error


def fingerprint(url: str) -> str:
    """Return a key that changes with the file: size and date, or object storage's own key.

    Raises SourceError if the file does not exist.
    """
    try:
        if not is_remote(url):
            facts = Path(url).stat()
            return f"{facts.st_size}-{facts.st_mtime_ns}"
        files, path = filesystem(url)
        return str(files.ukey(path))
    except refusals() as error:
        raise SourceError(f"{url}: {reason_of(error)}") from error


def read_photo(url: str) -> bytes:
    """Return the bytes of a photo; SourceError if it cannot be read."""
    if not is_remote(url):
        return read_still(Path(url))
    with open_remote(url) as file:
        data: bytes = file.read()
    return data
