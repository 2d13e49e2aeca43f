"""Opens what FFmpeg reads, finds the video in it, and explains its errors to users."""

import contextlib
import errno
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from emostream.shared.errors import SourceError
from emostream.shared.source_urls import scrub


@contextlib.contextmanager
def open_container(
    address: str, display_name: str, timeout: tuple[float, float] | None, options: dict[str, str]
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the address and find its video; messages call it `display_name`.

    `timeout` is seconds to open and to read. FFmpeg's errors, also those while reading, become
    SourceErrors.
    """
    try:
        with av.open(
            address, timeout=timeout, options=options, metadata_errors="replace"
        ) as container:
            yield container, _video_stream(container, display_name)
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{display_name}: {scrub(describe_error(error), address)}") from error


def describe_error(error: Exception) -> str:
    """Return what an error of FFmpeg or the system means for the source."""
    if isinstance(error, av.ExitError | av.TimeoutError):
        return "nothing came in time"
    if isinstance(error, av.InvalidDataError | av.EOFError):
        return "damaged, cut off, or no video"
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return "reading broke off"
    # The text of some errors repeats the address with its password; `strerror` does not.
    return getattr(error, "strerror", None) or str(error)


def can_decode(stream: Stream) -> bool:
    """Whether FFmpeg has a decoder for the stream."""
    # PyAV's types claim that there is always one.
    return getattr(stream, "codec_context", None) is not None


def _video_stream(container: InputContainer, display_name: str) -> VideoStream:
    for stream in container.streams.video:
        # The cover picture of a piece of music is no video.
        if stream.disposition & av.stream.Disposition.attached_pic:
            continue
        if not can_decode(stream):
            raise SourceError(f"{display_name}: its video is of a kind that FFmpeg cannot decode")
        # One thread a source: several sources share few cores, threads add delay, and of a damaged
        # file they need not give the same pictures twice.
        stream.codec_context.thread_count = 1
        return stream
    kinds = sorted({stream.type for stream in container.streams})
    only = f"only {', '.join(kinds)}" if kinds else "nor anything else"
    raise SourceError(f"{display_name}: no video in it, {only}")
