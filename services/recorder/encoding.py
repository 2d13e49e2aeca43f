"""Encodes pictures as the video track of a file, each at its real time."""

import contextlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

import av
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from emostream.services.recorder.archive.faults import Fault, WriteError
from emostream.shared.canvas import to_planes
from emostream.shared.errors import RecordingError
from emostream.shared.pixels import Image

# The finest time base in MPEG-4 is 1/65535 s.
TIME_BASE: Final = Fraction(1, 60_000)
TICK_NS: Final = Fraction(10**9, 60_000)
KEYFRAME_TICKS: Final = 2 * 60_000
NOMINAL_FPS: Final = 25
# For live video: minimal delay and little work.
ENCODERS: Final = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "crf": "23", "forced-idr": "1"},
    "mpeg4": {"flags": "+qscale", "global_quality": "590"},
}
# For files without time pressure: a quarter of the size for half as much work again, on all cores.
FILE_ENCODERS: Final = {
    "libx264": {
        "preset": "superfast",
        "crf": "23",
        "forced-idr": "1",
        "x264-params": "mbtree=1:rc-lookahead=10",
    },
    "mpeg4": ENCODERS["mpeg4"],
}
# The color space of OpenCV's conversion, so that players need not guess from the picture size.
BT601, LIMITED_RANGE = 6, 1
SQUARE: Final = Fraction(1)


def best_encoder() -> str:
    """Return the first of the ENCODERS in this FFmpeg; RecordingError if it has none."""
    for name in ENCODERS:
        with contextlib.suppress(UnknownCodecError):
            av.Codec(name, "w")
            return name
    raise RecordingError(
        f"this PyAV has no video encoder ({', '.join(ENCODERS)}): install PyAV's own wheel, "
        "or set recorder.video = false"
    )


class VideoTrack:
    """A video track of an open container, for pictures of one size.

    Odd sizes are padded to even ones for 4:2:0; there is a key frame every two seconds. `options`
    are for the encoder; 0 `threads` means one per core. `aspect` is pixel width divided by height.
    Raises WriteError for pictures that the encoder does not accept, such as some with more than
    16,384 pixels per side.
    """

    def __init__(
        self,
        container: OutputContainer,
        width: int,
        height: int,
        encoder: str,
        options: Mapping[str, str],
        threads: int = 1,
        *,
        aspect: Fraction = SQUARE,
    ) -> None:
        self._size = (width, height)
        self._start: int | None = None
        self._last = -1
        self._keyframe = 0
        stream = container.add_stream(encoder, NOMINAL_FPS, dict(options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base, context.thread_count, context.gop_size = TIME_BASE, threads, 10**6
        context.colorspace, context.color_range = BT601, LIMITED_RANGE
        context.sample_aspect_ratio = aspect
        self._stream = stream

    def encode(self, image: Image, pts: int) -> "list[Packet[VideoStream]]":
        """Add a picture that is shown at `pts` ns of the source.

        It is uint8 (height, width, 3) BGR, or I420 from `to_planes`, which must not be modified
        afterward, because the encoder may not copy it. The first one is shown at 0. A
        pts that is not later than the last one is moved to 1/60000 s after it. Returns the packets
        that are ready.
        """
        try:
            return self._stream.encode(self._frame(image, pts))
        except FFmpegError as error:
            width, height = self._size
            raise WriteError(
                Fault.OTHER,
                f"video of {width} x {height} pixels",
                f"the encoder does not accept it ({error.strerror})",
                "Use smaller pictures, or do not record them",
            ) from error

    def flush(self) -> "list[Packet[VideoStream]]":
        """Return the remaining packets; no more pictures can be added."""
        return [] if self._start is None else self._stream.encode(None)

    def _frame(self, image: Image, pts: int) -> VideoFrame:
        frame = self._convert(image)
        if self._start is None:
            self._start = pts
        tick = max(round((pts - self._start) / TICK_NS), self._last + 1)
        if self._last < 0 or tick - self._keyframe >= KEYFRAME_TICKS:
            self._keyframe = tick
            frame.pict_type = PictureType.I
        frame.pts, frame.time_base = tick, TIME_BASE
        self._last = tick
        return frame

    def _convert(self, image: Image) -> VideoFrame:
        planes = image if image.ndim == 2 else to_planes(image)
        # PyAV would cut off the last rows of other heights.
        if planes.shape[0] % 6 == 0:
            return VideoFrame.from_numpy_buffer(planes, format="yuv420p")
        return VideoFrame.from_ndarray(planes, format="yuv420p")
