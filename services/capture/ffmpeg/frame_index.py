"""Locates the pictures of a video file from its packets, without decoding."""

from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from emostream.services.capture.ffmpeg.decoder import FrameTimes, in_ns
from emostream.services.capture.ffmpeg.joined_clock import JoinedClock

# Codecs that decode to the same pictures from a key frame as from the beginning.
BY_KEY_FRAMES: Final = frozenset(
    (
        *("h264", "hevc", "av1", "vp8", "vp9", "mpeg1video", "mpeg2video", "mpeg4", "h263"),
        *("mjpeg", "prores", "dnxhd", "ffv1", "dvvideo", "theora", "rawvideo", "huffyuv"),
    )
)


@dataclass(frozen=True)
class FrameIndex:
    """The times of a video's pictures on the file's own clock, int64 ns, in order of display.

    `keys` are the times of key frames. `splits` says whether reading the file from any key frame
    yields the same pictures and times. `restarts` are as in `JoinedClock`. If the file ends early,
    so does the index.
    """

    times: NDArray[np.int64]
    keys: NDArray[np.int64]
    splits: bool
    restarts: list[float]


def index_frames(container: InputContainer, stream: VideoStream) -> FrameIndex:
    """Read all packets of an open video, and return its index."""
    clock, times = JoinedClock(container, stream), FrameTimes(container, stream)
    ticks: list[int] = []
    keys: list[int] = []
    untimed = 0
    try:
        for packet in clock.joined(container.demux(stream)):
            # Discarded packets are hidden by an edit list; the last packet is empty.
            if packet.is_discard or not packet.size:
                continue
            if packet.pts is None:
                untimed += 1
                continue
            ticks.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
    except av.FFmpegError:
        # Decoding the last pictures meets the same error and reports it.
        pass
    splits = (
        stream.codec_context.codec.canonical_name in BY_KEY_FRAMES
        and len(set(ticks)) == len(ticks)
        and not (untimed or clock.restarts or times.in_sequence)
    )
    return FrameIndex(
        times=_in_order(ticks, stream),
        keys=_in_order(keys, stream),
        splits=splits,
        restarts=[restart - times.declared_start / 1e9 for restart in clock.restarts],
    )


def _in_order(ticks: list[int], stream: VideoStream) -> NDArray[np.int64]:
    return np.array([in_ns(tick, stream.time_base) for tick in sorted(ticks)], np.int64)
