"""Describes and reads video files."""

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeAlias

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from emostream.services.capture.ffmpeg.asf import asf_length
from emostream.services.capture.ffmpeg.container import describe_error, open_container
from emostream.services.capture.ffmpeg.decoder import FrameTimes, VideoDecoder
from emostream.services.capture.ffmpeg.joined_clock import JoinedClock
from emostream.services.capture.ffmpeg.video_streams import SkippedStream, skipped_videos
from emostream.services.capture.picture import OnSkip, Pictures
from emostream.services.capture.source_url import local_path
from emostream.shared.errors import SourceError
from emostream.shared.user_path import path_text

Wait: TypeAlias = Callable[[float], Any]

PIPE_INTERVAL: Final = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class VideoDescription:
    """The declared properties of a video file.

    `width` and `height` are those of the first picture, rotated upright. `frames` is an estimate;
    `frames`, `duration_s` and `rate` (mean fps) are None if the file does not declare them.
    `pixel_aspect` is pixel width divided by height. `start` is the time of the first picture in ns,
    on the clock that the file's sound uses too. `skipped` are its other video streams.
    """

    width: int
    height: int
    frames: int | None
    duration_s: float | None
    rate: float | None
    codec: str
    has_audio: bool
    pixel_aspect: Fraction
    start: int
    skipped: tuple[SkippedStream, ...]


def describe_video(path: Path) -> VideoDescription:
    """Describe a video file; only its first picture is decoded.

    Raises SourceError if the file cannot be opened or has no readable picture, and for a named
    pipe, whose beginning could not be read again.
    """
    if path.is_fifo():
        raise SourceError(
            f"{path_text(path)}: a named pipe can be read only once; save it to a file first"
        )
    with open_file(path) as (container, stream):
        return describe(container, stream, path_text(path))


def describe(container: InputContainer, stream: VideoStream, name: str) -> VideoDescription:
    """Describe an open video, called `name` in messages; its first picture is decoded.

    Raises SourceError if it has no readable picture.
    """
    decoder = VideoDecoder(container, stream, name, lambda line: None)
    first = next(iter(decoder), None)
    if first is None:
        decoder.check_complete()
        raise AssertionError("a file without a picture passed its check")
    duration, rate = _duration(container, stream), decoder.rate
    height, width = first.pixels.shape[:2]
    return VideoDescription(
        width=width,
        height=height,
        frames=_frames(stream.frames, round(duration * rate) if duration and rate else 0),
        duration_s=duration,
        rate=float(rate) if rate else None,
        codec=stream.codec_context.codec.canonical_name,
        has_audio=bool(container.streams.audio),
        pixel_aspect=first.pixel_aspect,
        start=decoder.start,
        skipped=skipped_videos(container, stream),
    )


def clock_restarts(path: Path) -> list[float]:
    """Return where the file's clock restarts, in s after its first picture.

    Only files of some formats have to be read for this (see JoinedClock). Raises SourceError if the
    file cannot be opened; if it fails later, the restarts before that are returned.
    """
    with open_file(path) as (container, stream):
        clock = JoinedClock(container, stream)
        if not clock.may_restart:
            return []
        times = FrameTimes(container, stream)
        with contextlib.suppress(av.FFmpegError):
            for _ in clock.joined(container.demux(stream)):
                pass
        return [restart - times.declared_start / 1e9 for restart in clock.restarts]


def video_pictures(
    url: str, on_skip: OnSkip, wait: Wait = time.sleep, *, planar: bool = False
) -> Pictures:
    """Read a video file to its end; `planar` pictures may be I420, see `Picture`.

    A named pipe is read once something is written to it; `wait(seconds)` waits for that,
    repeatedly, until it returns True. `on_skip` is called with a line for each picture that cannot
    be decoded. Raises SourceError if the file cannot be opened, has no picture, or fails early; in
    the last case, after all readable pictures, and with the position. It yields the same pictures
    each time.
    """
    path = local_path(url)
    with _open_pipe(path, wait) if path.is_fifo() else open_file(path) as (container, stream):
        length = declared_length(container, path)
        decoder = VideoDecoder(container, stream, path_text(path), on_skip, length, planar=planar)
        try:
            yield from decoder
        except av.FFmpegError as error:
            raise decoder.truncated(describe_error(error)) from error
        decoder.check_complete()


def declared_length(container: InputContainer, path: Path) -> float:
    """Return the length in s that a file declares in a place FFmpeg does not read, else 0."""
    is_asf = container.format.name == "asf" and path.is_file()
    return asf_length(path) if is_asf else 0.0


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file; SourceError if it is not one, also while it is read in the block."""
    if not path.exists():
        raise SourceError(f"{path}: no such file")
    if path.is_dir():
        raise SourceError(f"{path}: a folder, not a video file")
    if path.is_file() and not path.stat().st_size:
        raise SourceError(f"{path}: the file is empty")
    # `file:` keeps FFmpeg from taking a colon in the path for a protocol.
    with open_container(
        f"file:{path}", path_text(path), None, {"protocol_whitelist": "file"}
    ) as found:
        yield found


@contextlib.contextmanager
def _open_pipe(path: Path, wait: Wait) -> Iterator[tuple[InputContainer, VideoStream]]:
    # FFmpeg would block in opening it until another program opens it.
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        events = select.poll()
        events.register(pipe, select.POLLIN)
        while not any(event & select.POLLIN for _, event in events.poll(0)):
            if wait(PIPE_INTERVAL):
                raise SourceError(f"{path_text(path)}: nobody wrote to this named pipe")
        os.set_blocking(pipe, True)
        options = {"protocol_whitelist": "pipe"}
        with open_container(f"pipe:{pipe}", path_text(path), None, options) as found:
            yield found
    finally:
        os.close(pipe)


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _frames(counted: int, by_rate: int) -> int | None:
    # An edit list hides pictures that the file counts; the length respects it.
    return by_rate if 0 < by_rate + 1 < counted else counted or by_rate or None
