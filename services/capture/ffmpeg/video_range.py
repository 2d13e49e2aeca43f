"""Reads a part of a video file, from a key frame on, with the times of the whole file."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from emostream.services.capture.ffmpeg.container import describe_error
from emostream.services.capture.ffmpeg.decoder import VideoDecoder, in_ns
from emostream.services.capture.picture import OnSkip, Pictures

NS: Final = 1_000_000_000
# Seek this many seconds before the key frame, because some containers seek inexactly.
STEPS_BACK: Final = (0, 1, 4, 16, 64)

OpenVideo: TypeAlias = Callable[
    [], AbstractContextManager[tuple[InputContainer, VideoStream, float]]
]


@dataclass(frozen=True)
class PictureRange:
    """The pictures from `start` to before `end` (None: to the end), ns since the first of the file.

    The file has a key frame at `key` ns, not after `start`, preceded by `before` pictures. Its
    first picture is at `first` ns on its own clock.
    """

    first: int = 0
    start: int = 0
    end: int | None = None
    key: int = 0
    before: int = 0


def range_pictures(
    open_video: OpenVideo, name: str, part: PictureRange, skip: OnSkip, *, planar: bool = False
) -> Pictures:
    """Yield the pictures of a part, as reading the whole file would; messages call it `name`.

    `open_video` opens the file, with its declared length in s (0: use FFmpeg's). `skip` is called
    with a line for each picture that cannot be decoded; `planar` pictures may be I420, see
    `Picture`. Raises SourceError if the file cannot be opened or ends early, and after its last
    part if it is incomplete.
    """
    if part.start <= 0:
        with open_video() as opened:
            yield from _pictures(*opened, name, part, skip, seeked=False, planar=planar)
        return
    with open_video() as opened:
        if _seek(*opened[:2], part):
            yield from _pictures(*opened, name, part, skip, seeked=True, planar=planar)
            return
    # Reading from the beginning takes longer, with the same result.
    with open_video() as opened:
        yield from _pictures(*opened, name, part, skip, seeked=False, planar=planar)


def _pictures(  # noqa: PLR0913
    container: InputContainer,
    stream: VideoStream,
    length: float,
    name: str,
    part: PictureRange,
    skip: OnSkip,
    *,
    seeked: bool,
    planar: bool,
) -> Pictures:
    began = False

    def skip_in_part(line: str) -> None:
        if began or part.start <= 0:
            skip(line)

    decoder = VideoDecoder(container, stream, name, skip_in_part, length, planar=planar)
    if seeked:
        decoder.go_on(part.first, part.before)
    with contextlib.closing(iter(decoder)) as pictures:
        try:
            for picture in pictures:
                if part.end is not None and picture.pts >= part.end:
                    return
                if picture.pts >= part.start:
                    began = True
                    yield picture
        except av.FFmpegError as error:
            raise decoder.truncated(describe_error(error)) from error
    decoder.check_complete()


def _seek(container: InputContainer, stream: VideoStream, part: PictureRange) -> bool:
    """Seek to a key frame that is not after the part's; return whether one was found."""
    wanted = part.first + part.key
    for back in STEPS_BACK:
        ticks = _ticks(wanted - back * NS, stream.time_base)
        try:
            container.seek(ticks, stream=stream, backward=True)
            found = _first_key(container, stream)
            if found is None or found > wanted:
                continue
            container.seek(ticks, stream=stream, backward=True)
        except av.FFmpegError:
            continue
        return True
    return False


def _first_key(container: InputContainer, stream: VideoStream) -> int | None:
    """Return the time of the next key frame, ns on the file's own clock."""
    for packet in container.demux(stream):
        if packet.is_keyframe and packet.pts is not None:
            return in_ns(packet.pts, stream.time_base)
    return None


def _ticks(ns: int, time_base: Fraction | None) -> int:
    return round(Fraction(ns, NS) / (time_base or Fraction(1, NS)))
