"""Opens files and streams with FFmpeg, finds the video, and explains errors to users."""

import contextlib
import errno
from collections.abc import Iterator
from typing import IO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from emostream.services.capture.ffmpeg.video_streams import main_video
from emostream.shared.errors import SourceError
from emostream.shared.source_urls import scrub


@contextlib.contextmanager
def open_container(
    address: str | IO[bytes],
    display_name: str,
    timeout: tuple[float, float] | None,
    options: dict[str, str],
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the URL or an open file, and find its video; messages call it `display_name`.

    `timeout` is the time limit in seconds for opening and for reading. FFmpeg's errors, including
    those while reading, become SourceErrors.
    """
    try:
        with av.open(
            address, "r", timeout=timeout, options=options, metadata_errors="replace"
        ) as container:
            stream = main_video(container, display_name)
            # One thread per source: several sources share few cores, threads add delay, and with
            # damaged files they are not deterministic.
            stream.codec_context.thread_count = 1
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        url = address if isinstance(address, str) else display_name
        raise SourceError(f"{display_name}: {scrub(describe_error(error), url)}") from error


def describe_error(error: Exception) -> str:
    """Return the meaning of an FFmpeg or system error for the source."""
    if isinstance(error, av.ExitError | av.TimeoutError):
        return "no data arrived in time"
    if isinstance(error, MemoryError):
        return "one of its parts or pictures is too large for memory"
    if isinstance(error, av.InvalidDataError | av.EOFError):
        return "damaged, truncated, or not a video"
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return "reading failed partway"
    # The text of some errors repeats the address with its password; `strerror` does not.
    return getattr(error, "strerror", None) or str(error)
