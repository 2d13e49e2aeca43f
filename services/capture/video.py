"""Reading video files and network streams, with PyAV for its real timestamps and timeouts."""

import contextlib
import errno
from collections.abc import Callable, Iterator
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from services.capture.address import local_path, redact, scrub
from services.capture.pace import Clock, Pictures, paced
from services.capture.pictures import Image, Picture
from shared.errors import SourceError

Skipped = Callable[[str], None]

OPEN_TIMEOUT = 10.0
# Formats that carry no timestamps: FFmpeg would invent them at 25 a second.
WITHOUT_TIMES = {"mpjpeg", "mjpeg"}
TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    -90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    -180: cv2.ROTATE_180,
}
# What may be missing at the end of a whole file: containers round, and count what is not shown.
SLACK_SHARE, SLACK_FRAMES = 0.02, 3


def file_pictures(url: str, skipped: Skipped) -> Pictures:
    """Read a video file to its end.

    `skipped` is called with a line for each picture that cannot be decoded. Raises SourceError
    where the file cannot be opened, holds no picture, or breaks off early: then after the pictures
    that could be read, and with the place.
    """
    path = local_path(url)
    if not path.exists():
        raise SourceError(f"{path}: no such file")
    # `file:` keeps FFmpeg from taking a colon in the path for a protocol.
    options = {"protocol_whitelist": "file"}
    with _opened(f"file:{path}", str(path), None, options) as (container, stream):
        reading = _Reading(container, stream, str(path), skipped)
        yield from reading
        reading.check_end()


def network_pictures(url: str, timeout: float, skipped: Skipped, clock: Clock) -> Pictures:
    """Read a stream from the network until it ends or gives nothing for `timeout` seconds.

    A recording, which says how long it is, comes at its own pace; a stream that carries no times
    gets those of its arrival. Raises SourceError, without the URL's secrets, where it cannot be
    opened or read.
    """
    options = {"rtsp_transport": "tcp"} if url.lower().startswith("rtsp") else {}
    with _opened(url, redact(url), (OPEN_TIMEOUT, timeout), options) as (container, stream):
        pictures = iter(_Reading(container, stream, redact(url), skipped))
        if not WITHOUT_TIMES.isdisjoint(container.format.name.split(",")):
            start = clock.now()
            for picture in pictures:
                yield Picture(picture.pixels, round((clock.now() - start) * 1e9))
        elif container.duration:
            yield from paced(pictures, clock)
        else:
            yield from pictures


@contextlib.contextmanager
def _opened(
    address: str, shown: str, timeout: tuple[float, float] | None, options: dict[str, str]
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the address; FFmpeg's errors, also those while reading, become SourceErrors."""
    try:
        with av.open(address, timeout=timeout, options=options) as container:
            yield container, _video_stream(container, shown)
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{shown}: {scrub(_reason(error), address)}") from error


def _video_stream(container: InputContainer, shown: str) -> VideoStream:
    for stream in container.streams.video:
        # The cover picture of a piece of music is no video.
        if not stream.disposition & av.stream.Disposition.attached_pic:
            # One thread a source: several sources share few cores, and threads add delay.
            stream.codec_context.thread_count = 1
            return stream
    kinds = sorted({stream.type for stream in container.streams})
    raise SourceError(f"{shown}: no video in it, only {', '.join(kinds) or 'nothing'}")


def _reason(error: Exception) -> str:
    if isinstance(error, av.ExitError | av.TimeoutError):
        return "nothing came in time"
    if isinstance(error, av.InvalidDataError):
        return "damaged, cut off, or no video"
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return "reading broke off"
    # The text of some errors repeats the address with its password; `strerror` does not.
    return getattr(error, "strerror", None) or str(error)


class _Reading:
    """The pictures of an open stream, and how far it came."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, shown: str, skipped: Skipped
    ) -> None:
        self._container, self._stream = container, stream
        self._shown, self._skipped = shown, skipped
        self._reformatter = VideoReformatter()
        self._count = 0
        self._first: int | None = None
        self._last = 0
        self._damage = False

    def __iter__(self) -> Pictures:
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                self._damage = True
                self._skipped(f"{self._shown}: a picture after {self._place} cannot be decoded")
                continue
            for frame in frames:
                self._damage = False
                yield Picture(self._pixels(frame), self._time(frame))

    def check_end(self) -> None:
        """Raise SourceError where the file promised more than it gave."""
        length = self._length()
        slack = max(SLACK_SHARE * length, SLACK_FRAMES * self._interval)
        frames = self._stream.frames * (1 - SLACK_SHARE) - SLACK_FRAMES
        if not self._count:
            raise SourceError(f"{self._shown}: no picture in it can be read")
        if self._damage or self._seconds + slack < length or self._count < frames:
            whole = f" of {length:.1f} s" if length > self._seconds else ""
            raise SourceError(
                f"{self._shown}: breaks off at {self._seconds:.2f} s{whole}, "
                f"after {self._count} pictures; the rest is missing or damaged"
            )

    @property
    def _seconds(self) -> float:
        return self._last / 1e9 + self._interval if self._count else 0.0

    @property
    def _place(self) -> str:
        return f"{self._seconds:.2f} s"

    @property
    def _interval(self) -> float:
        rate = self._stream.average_rate
        return float(1 / rate) if rate else 0.04

    def _length(self) -> float:
        """Seconds of video that the file says it holds, 0 where it does not say."""
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        # The duration of the whole may be that of a longer sound.
        alone = len(self._container.streams) == 1
        return (self._container.duration or 0) / av.time_base if alone else 0.0

    def _pixels(self, frame: av.VideoFrame) -> Image:
        bgr = self._reformatter.reformat(frame, format="bgr24")
        pixels: Any = bgr.to_ndarray()
        # Counterclockwise degrees; phones write them in place of turning the pixels.
        turn = TURNS.get(round(frame.rotation))
        if turn is not None:
            pixels = cv2.rotate(pixels, turn)
        return np.ascontiguousarray(pixels, np.uint8)

    def _time(self, frame: av.VideoFrame) -> int:
        """Nanoseconds since the first picture; where a picture has no time, by the rate."""
        if frame.pts is None or frame.time_base is None:
            time = (self._first or 0) + self._last + round(self._interval * 1e9) * bool(self._count)
        else:
            time = int(frame.pts * frame.time_base * 1_000_000_000)
        if self._first is None:
            self._first = time
        self._count += 1
        self._last = time - self._first
        return self._last
