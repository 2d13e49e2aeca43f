"""Describes and reads video files."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from emostream.services.capture.ffmpeg.container import describe_error, open_container
from emostream.services.capture.ffmpeg.decoder import VideoDecoder
from emostream.services.capture.picture import OnSkip, Pictures
from emostream.services.capture.source_url import local_path
from emostream.shared.errors import SourceError
from emostream.shared.user_path import path_text


@dataclass(frozen=True, slots=True)
class VideoDescription:
    """What a video file holds, by its own account.

    `width` and `height` are those of its first picture as it is given, turned upright. `frames` is
    an estimate; it, `duration_s` and `rate` (pictures a second, on average) are None where the file
    does not say. `pixel_aspect` is a pixel's width by its height. `start` is the time of the first
    picture on the clock that the file's sound runs on too, in ns.
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


def describe_video(path: Path) -> VideoDescription:
    """Describe what the video file holds; only its first picture is decoded.

    Raises SourceError where the file cannot be opened or no picture in it can be read.
    """
    with _open_file(path) as (container, stream):
        decoder = VideoDecoder(container, stream, path_text(path), lambda line: None)
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
            pixel_aspect=_pixel_aspect(stream, turned=(width, height) != _size(stream)),
            start=decoder.start,
        )


def video_pictures(url: str, on_skip: OnSkip) -> Pictures:
    """Read a video file to its end.

    `on_skip` is called with a line for each picture that cannot be decoded. Raises SourceError
    where the file cannot be opened, holds no picture, or breaks off early: then after the pictures
    that could be read, and with the place. It gives the same pictures each time.
    """
    path = local_path(url)
    with _open_file(path) as (container, stream):
        decoder = VideoDecoder(container, stream, path_text(path), on_skip)
        try:
            yield from decoder
        except av.FFmpegError as error:
            raise decoder.truncated(describe_error(error)) from error
        decoder.check_complete()


@contextlib.contextmanager
def _open_file(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    if not path.exists():
        raise SourceError(f"{path}: no such file")
    if path.is_dir():
        raise SourceError(f"{path}: a folder, no video file")
    if path.is_file() and not path.stat().st_size:
        raise SourceError(f"{path}: the file is empty")
    # `file:` keeps FFmpeg from taking a colon in the path for a protocol.
    with open_container(
        f"file:{path}", path_text(path), None, {"protocol_whitelist": "file"}
    ) as found:
        yield found


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _frames(counted: int, by_rate: int) -> int | None:
    # An edit list leaves out pictures that the file counts; the length follows it.
    return by_rate if 0 < by_rate + 1 < counted else counted or by_rate or None


def _size(stream: VideoStream) -> tuple[int, int]:
    return stream.codec_context.width, stream.codec_context.height


def _pixel_aspect(stream: VideoStream, turned: bool) -> Fraction:
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return 1 / aspect if turned else aspect
