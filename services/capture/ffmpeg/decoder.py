"""Decodes an open video into upright pictures with times, and checks that it is complete."""

from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream

from emostream.services.capture.ffmpeg.hdr import ToneMapper, is_hdr
from emostream.services.capture.ffmpeg.joined_clock import JoinedClock
from emostream.services.capture.ffmpeg.orientation import Orientation
from emostream.services.capture.ffmpeg.pixel_aspect import PixelAspect
from emostream.services.capture.picture import OnSkip, Picture, Pictures
from emostream.shared.errors import SourceError
from emostream.shared.pixels import Image
from emostream.shared.plural import counted

# What may be missing at the end of a complete file, because containers round: this many pictures,
# or a share of its length up to some seconds.
TOLERATED_FRAMES, TOLERATED_SHARE, TOLERATED_SECONDS = 3, 0.02, 0.5
DEFAULT_RATE = 25
# FFmpeg's color space numbers: BT.601 for 625 and 525 lines, and unspecified, which counts as
# BT.601.
BT601 = (5, 6, 2)
LIMITED = (ColorRange.MPEG, ColorRange.UNSPECIFIED)
NO_TIMESTAMPS = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS
# Formats in which each stream declares its own length.
LENGTHS_OF_TRACKS = {"mov", "avi"}


class VideoDecoder:
    """Iterates over the pictures of an open file or stream; messages call it `display_name`.

    `on_skip` is called with a line for each picture that cannot be decoded. `length` is the total
    length in s, if known better than by FFmpeg. `planar` yields pictures as coded, in I420, if they
    are the usual kind of 4:2:0. FFmpeg's errors while reading are raised unchanged, after the
    pictures before them.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        display_name: str,
        on_skip: OnSkip,
        length: float = 0.0,
        *,
        planar: bool = False,
    ) -> None:
        self._container, self._stream, self._length = container, stream, length
        self._planar = planar
        self._display_name, self._on_skip = display_name, on_skip
        self._reformatter, self._tone_mapper = VideoReformatter(), ToneMapper()
        self._orientation, self._aspect = Orientation(), PixelAspect(stream)
        self._clock, self._times = JoinedClock(container, stream), FrameTimes(container, stream)
        self._damage = False
        self._end = 0

    @property
    def start(self) -> int:
        """The time of the first picture on the file's own clock, ns; 0 until it is read."""
        return self._times.start

    @property
    def rate(self) -> Fraction | None:
        """Average fps; None if the file does not say."""
        return self._times.rate

    def go_on(self, start: int, count: int) -> None:
        """Continue after the first `count` pictures, to read a file from the middle.

        `start` is the time of the very first picture on the file's own clock, ns.
        """
        self._times.go_on(start, count)

    def __iter__(self) -> Pictures:
        try:
            # From all streams, because only the ends of all show whether the file is complete.
            for packet in self._clock.joined(self._container.demux()):
                self._end = max(self._end, _end(packet))
                if packet.stream.index == self._stream.index:
                    yield from self._decoded(packet)
        except av.FFmpegError:
            # Pictures that are still in the decoder were read before the error.
            yield from self._decoded(None)
            raise

    def check_complete(self) -> None:
        """Raise SourceError if the file declares more than could be read."""
        times = self._times
        if not times.count:
            raise SourceError(f"{self._display_name}: none of its pictures can be read")
        declared, received = self._lengths()
        share = min(TOLERATED_SHARE * declared, TOLERATED_SECONDS)
        tolerated = max(share, TOLERATED_FRAMES * times.interval)
        if self._damage or received + tolerated < declared:
            raise self.truncated("the rest is missing or damaged")

    def truncated(self, reason: str) -> SourceError:
        """Return the error that says where and why the file fails."""
        times, (length, _) = self._times, self._lengths()
        if not times.count:
            return SourceError(f"{self._display_name}: {reason}")
        whole = f" of {length:.1f} s" if length > times.seconds else ""
        return SourceError(
            f"{self._display_name}: ends early at {times.seconds:.2f} s{whole}, "
            f"after {counted(times.count, 'picture')}; {reason}"
        )

    def _decoded(self, packet: "Packet[Stream] | None") -> Pictures:
        """Yield the pictures that a packet completes; None flushes the decoder."""
        try:
            frames = self._stream.decode(packet)
        except av.FFmpegError:
            self._damage = True
            place = f"after {self._times.seconds:.2f} s"
            self._on_skip(f"{self._display_name}: a picture {place} cannot be decoded")
            return
        # The empty packet at the end does not say anything about the last picture.
        if packet is not None and packet.size:
            self._damage = False
        for frame in frames:
            pixels = self._pixels(frame)
            aspect = self._aspect.current(turned=self._orientation.turned)
            yield Picture(pixels, self._times.next(frame), pixel_aspect=aspect)

    def _pixels(self, frame: av.VideoFrame) -> Image:
        if self._planar and _is_i420(frame) and self._orientation.is_upright(frame):
            return np.asarray(frame.to_ndarray(), np.uint8)
        if is_hdr(frame):
            bgr = self._tone_mapper.apply(frame)
        else:
            bgr = self._reformatter.reformat(frame, format="bgr24")
        return self._orientation.apply(bgr.to_ndarray(), frame)

    def _lengths(self) -> tuple[float, float]:
        """Return the length in seconds that the file declares (0 if none), and the one read."""
        stream, times = self._stream, self._times
        if times.untimed or self._clock.restarts:
            return 0.0, times.seconds
        if stream.duration and stream.time_base and times.in_tracks:
            length = float(stream.duration * stream.time_base)
            if times.in_avi:
                # FFmpeg shortens it if the file is truncated.
                length = max(length, float(stream.frames / (times.rate or DEFAULT_RATE)))
            # The first pictures may be missing, like those after a cut without a key frame.
            ahead = max(0, times.start - times.declared_start) / 1e9
            return length, times.seconds + ahead
        # The total length, which may be that of the sound. Some formats count it from 0, others
        # from the first picture or sound.
        whole, start = self._container.duration or 0, self._container.start_time or 0
        length = self._length or whole / av.time_base
        return length, self._end / 1e9 - min(0, start) / av.time_base


class FrameTimes:
    """The times of a video's pictures: their own, or from the frame rate if they have none.

    `start` is the first time on the file's own clock, ns, and `declared_start` the one that the
    file declares. With `in_sequence`, a time is known only after all earlier ones.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        # FFmpeg assumes 25 fps for bare streams, regardless of what the stream declares.
        self.untimed = bool(container.format.flags & NO_TIMESTAMPS)
        # AVI has times only in decoding order.
        self.in_avi = container.format.name == "avi"
        # In other formats, the declared length may be that of another stream.
        self.in_tracks = not LENGTHS_OF_TRACKS.isdisjoint(container.format.name.split(","))
        self._as_decoded = self.in_avi and stream.codec_context.has_b_frames
        self.in_sequence = self.untimed or bool(self._as_decoded)
        self.rate = stream.guessed_rate if self.untimed else stream.average_rate
        self.count = self.start = 0
        # Frames that the decoder held back at an error do not have it.
        self._time_base = stream.time_base
        self.declared_start = in_ns(stream.start_time or 0, stream.time_base)
        self._step = round(1_000_000_000 / (self.rate or DEFAULT_RATE))
        self._first = self._last = self._end = 0

    @property
    def interval(self) -> float:
        """The mean seconds from one picture to the next."""
        # Measured, because the rate of an AVI counts missing pictures.
        return self._last / (self.count - 1) / 1e9 if self.count > 1 else self._step / 1e9

    @property
    def seconds(self) -> float:
        """The time from the start of the first picture to the end of the last."""
        return self._end / 1e9

    def go_on(self, start: int, count: int) -> None:
        """Continue after the first `count` pictures; the very first was at `start` ns."""
        self.start = self._first = start
        self.count = count

    def next(self, frame: av.VideoFrame) -> int:
        """Return ns since the first picture. Call this once per picture, in order."""
        stamp = frame.dts if self._as_decoded else frame.pts
        if stamp is None or self.untimed:
            time = self._first + self._last + self._step * bool(self.count)
        else:
            time = in_ns(stamp, self._time_base)
        if self.count:
            before, self._last = self._last, time - self._first
            self._step = self._last - before if self._last > before else self._step
        else:
            # The other one includes the decoder's delay.
            self.start = self.declared_start if self._as_decoded else time
            self._first = time
        self.count += 1
        lasts = max(in_ns(frame.duration, self._time_base), round(self.interval * 1e9))
        self._end = max(self._end, self._last + lasts)
        return self._last


def _is_i420(frame: av.VideoFrame) -> bool:
    """Whether the frame is declared as 8-bit 4:2:0 in BT.601 with limited range."""
    is_even = frame.width % 2 == frame.height % 2 == 0
    known = frame.colorspace in BT601 and frame.color_range in LIMITED
    return frame.format.name == "yuv420p" and is_even and known and not is_hdr(frame)


def _end(packet: "Packet[Stream]") -> int:
    """Return the end of the packet's content, ns on the file's own clock."""
    start = packet.dts if packet.pts is None else packet.pts
    return 0 if start is None else in_ns(start + (packet.duration or 0), packet.time_base)


def in_ns(ticks: int, time_base: Fraction | None) -> int:
    """Return a time of a stream in ns."""
    return round(ticks * (time_base or 0) * 1_000_000_000)
