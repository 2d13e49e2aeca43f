"""Reading video files and network streams, with PyAV for its real timestamps and timeouts."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from emostream.services.capture.address import local_path, redact
from emostream.services.capture.files.container import opened, reason
from emostream.services.capture.files.decoder import Reading
from emostream.services.capture.files.decoder import Skipped as Skipped
from emostream.services.capture.pace import Clock, Pictures, paced
from emostream.services.capture.picture import Picture
from emostream.shared.errors import SourceError

OPEN_TIMEOUT = 10.0
# Formats that carry no timestamps: FFmpeg would invent them at 25 a second.
WITHOUT_TIMES = {"mpjpeg", "mjpeg"}


@dataclass(frozen=True, slots=True)
class Description:
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


def describe(path: Path) -> Description:
    """Tell what the video file holds; only its first picture is decoded.

    Raises SourceError where the file cannot be opened or no picture in it can be read.
    """
    with _opened(path) as (container, stream):
        reading = Reading(container, stream, str(path), lambda line: None)
        first = next(iter(reading), None)
        if first is None:
            reading.check_end()
            raise AssertionError("a file without a picture passed its check")
        duration, rate = _duration(container, stream), reading.rate
        height, width = first.pixels.shape[:2]
        return Description(
            width=width,
            height=height,
            frames=_frames(stream.frames, round(duration * rate) if duration and rate else 0),
            duration_s=duration,
            rate=float(rate) if rate else None,
            codec=stream.codec_context.codec.canonical_name,
            has_audio=bool(container.streams.audio),
            pixel_aspect=_pixel_aspect(stream, turned=(width, height) != _size(stream)),
            start=reading.start,
        )


def file_pictures(url: str, skipped: Skipped) -> Pictures:
    """Read a video file to its end.

    `skipped` is called with a line for each picture that cannot be decoded. Raises SourceError
    where the file cannot be opened, holds no picture, or breaks off early: then after the pictures
    that could be read, and with the place. It gives the same pictures each time.
    """
    path = local_path(url)
    with _opened(path) as (container, stream):
        reading = Reading(container, stream, str(path), skipped)
        try:
            yield from reading
        except av.FFmpegError as error:
            raise reading.broken(reason(error)) from error
        reading.check_end()


def network_pictures(url: str, timeout: float, skipped: Skipped, clock: Clock) -> Pictures:
    """Read a stream from the network until it ends or gives nothing for `timeout` seconds.

    A recording, which says how long it is, comes at its own pace; a stream that carries no times
    gets those of its arrival. Raises SourceError, without the URL's secrets, where it cannot be
    opened or read.
    """
    options = {"rtsp_transport": "tcp"} if url.lower().startswith("rtsp") else {}
    with opened(url, redact(url), (OPEN_TIMEOUT, timeout), options) as (container, stream):
        pictures = iter(Reading(container, stream, redact(url), skipped))
        if not WITHOUT_TIMES.isdisjoint(container.format.name.split(",")):
            start = clock.now()
            for picture in pictures:
                yield Picture(picture.pixels, round((clock.now() - start) * 1e9))
        elif container.duration:
            yield from paced(pictures, clock)
        else:
            yield from pictures


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    if not path.exists():
        raise SourceError(f"{path}: no such file")
    if path.is_dir():
        raise SourceError(f"{path}: a folder, no video file")
    if path.is_file() and not path.stat().st_size:
        raise SourceError(f"{path}: the file is empty")
    # `file:` keeps FFmpeg from taking a colon in the path for a protocol.
    with opened(f"file:{path}", str(path), None, {"protocol_whitelist": "file"}) as found:
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
