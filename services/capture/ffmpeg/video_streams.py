"""Selects which of a file's video streams to read, and says why the others are skipped."""

from dataclasses import dataclass
from typing import Final

from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from emostream.shared.errors import SourceError

# Pictures that accompany a film or music, or that are parts of one picture.
NO_VIDEO: Final = {
    Disposition.attached_pic: "a cover picture",
    Disposition.timed_thumbnails: "thumbnails",
    Disposition.dependent: "parts of another picture",
}


@dataclass(frozen=True, slots=True)
class SkippedStream:
    """A video stream that is not read; `width` and `height` are 0 if unknown."""

    index: int
    codec: str
    width: int
    height: int
    reason: str


def main_video(container: InputContainer, display_name: str) -> VideoStream:
    """Return the video to read: the container's default, or else the largest.

    Raises SourceError if there is none, or FFmpeg cannot decode it.
    """
    streams = [stream for stream in container.streams.video if not _no_video(stream)]
    if not streams:
        kinds = sorted({_no_video(stream) or stream.type for stream in container.streams})
        only = f"only {', '.join(kinds)}" if kinds else "nor anything else"
        raise SourceError(f"{display_name}: contains no video, {only}")
    stream = max(streams, key=_preference)
    if not can_decode(stream):
        raise SourceError(f"{display_name}: FFmpeg cannot decode its video")
    return stream


def skipped_videos(container: InputContainer, chosen: VideoStream) -> tuple[SkippedStream, ...]:
    """Return the container's other video streams, in order."""
    return tuple(
        SkippedStream(
            index=stream.index,
            codec=stream.codec_context.codec.canonical_name if can_decode(stream) else "",
            width=_size(stream)[0],
            height=_size(stream)[1],
            reason=_reason(stream, chosen),
        )
        for stream in container.streams.video
        if stream.index != chosen.index
    )


def can_decode(stream: Stream) -> bool:
    """Whether FFmpeg has a decoder for the stream."""
    # According to PyAV's types, there always is one.
    return getattr(stream, "codec_context", None) is not None


def _preference(stream: VideoStream) -> tuple[bool, bool, int]:
    """Sort key, best highest; the first of equals is selected."""
    width, height = _size(stream)
    return bool(stream.disposition & Disposition.default), can_decode(stream), width * height


def _size(stream: VideoStream) -> tuple[int, int]:
    if not can_decode(stream):
        return 0, 0
    return stream.codec_context.width, stream.codec_context.height


def _no_video(stream: Stream) -> str:
    return next((why for kind, why in NO_VIDEO.items() if stream.disposition & kind), "")


def _reason(stream: VideoStream, chosen: VideoStream) -> str:
    if why := _no_video(stream):
        return why
    if not can_decode(stream):
        return "FFmpeg cannot decode it"
    if chosen.disposition & Disposition.default and not stream.disposition & Disposition.default:
        return "not the default"
    same = _size(stream) == _size(chosen)
    return "another one of the same size comes first" if same else "smaller"
