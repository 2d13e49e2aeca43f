"""Small video files for tests, as cameras, phones and accidents make them."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

FRAME = Fraction(1, 25)
CLICK_SECONDS = 0.04


@dataclass(frozen=True)
class Sound:
    """Silence with a click at `click` s of the file, from `start` s on, as float mono."""

    codec: str = "aac"
    start: float = 0.0
    seconds: float = 2.0
    click: float = 1.0
    rate: int = 48_000
    layout: str = "mono"

    def samples(self) -> np.ndarray:
        """float32 (1, samples)."""
        samples = np.zeros((1, round(self.seconds * self.rate)), np.float32)
        first = round((self.click - self.start) * self.rate)
        length = round(CLICK_SECONDS * self.rate)
        samples[0, first : first + length] = 0.9 * np.sin(np.arange(length) * 0.3)
        return samples


@dataclass(frozen=True)
class Clip:
    """A video whose n-th picture is of the n-th gray, at 25 a second, or `ticks` of `time_base`.

    `turn` is by how many degrees, counterclockwise, players turn it, after which `mirrored` says
    whether they mirror it; `coding` are options of the encoder, `container` of the container.
    """

    grays: Sequence[int]
    size: tuple[int, int] = (64, 48)
    codec: str = "libx264"
    layout: str = "yuv420p"
    ticks: Sequence[int] | None = None
    time_base: Fraction = Fraction(1, 90_000)
    coding: Mapping[str, str] = field(default_factory=dict)
    container: Mapping[str, str] = field(default_factory=dict)
    turn: int = 0
    mirrored: bool = False
    pixel_aspect: Fraction = Fraction(1)
    sound: Sound | None = None
    noise: float = 0.0

    def write(self, path: Path, form: str | None = None) -> Path:
        """Write the file in the format of its name, or in `form`."""
        with av.open(str(path), "w", format=form, options=dict(self.container)) as container:
            stream = video_track(container, self.codec, self.size, self.layout, self.coding)
            stream.codec_context.time_base = self.time_base
            stream.codec_context.sample_aspect_ratio = self.pixel_aspect
            if self.turn or self.mirrored:
                stream.set_display_rotation(self.turn, hflip=self.mirrored)
            sound = None if self.sound is None else _track(container, self.sound)
            container.start_encoding()
            for n in range(len(self.grays)):
                container.mux(stream.encode(self.frame(n)))
            container.mux(stream.encode())
            if self.sound and sound:
                _mux(container, sound, self.sound)
        return path

    def frame(self, n: int) -> av.VideoFrame:
        """The n-th picture."""
        frame = av.VideoFrame.from_ndarray(self.picture(n), format="bgr24")
        frame.pts = self.ticks[n] if self.ticks else round(n * FRAME / self.time_base)
        frame.time_base = self.time_base
        return frame

    def picture(self, n: int) -> np.ndarray:
        """uint8 (height, width, 3) BGR."""
        shape = (self.size[1], self.size[0], 3)
        picture = np.full(shape, self.grays[n], np.uint8)
        if self.noise:
            dice = np.random.default_rng(n)
            noisy = (1 - self.noise) * picture + self.noise * dice.integers(0, 256, shape)
            return noisy.astype(np.uint8)
        return picture


def video_track(
    container: OutputContainer,
    codec: str = "libx264",
    size: tuple[int, int] = (64, 48),
    layout: str = "yuv420p",
    coding: Mapping[str, str] | None = None,
) -> VideoStream:
    """Return a new video track of 25 pictures per second."""
    track = container.add_stream(codec, rate=25, options=dict(coding or {}))
    assert isinstance(track, VideoStream)
    (track.width, track.height), track.pix_fmt = size, layout
    return track


def _track(container: OutputContainer, sound: Sound) -> AudioStream:
    track = container.add_stream(sound.codec, rate=sound.rate)
    assert isinstance(track, AudioStream)
    track.layout = sound.layout
    return track


def _mux(container: OutputContainer, track: AudioStream, sound: Sound) -> None:
    samples, first = sound.samples(), round(sound.start * sound.rate)
    for at in range(0, samples.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(
            samples[:, at : at + 1024].copy(), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.time_base = sound.rate, Fraction(1, sound.rate)
        frame.pts = first + at
        container.mux(track.encode(frame))
    container.mux(track.encode())


def cut(path: Path, share: float) -> Path:
    """Keep the first `share` of the file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def damage(path: Path, start: float, end: float) -> Path:
    """Fill the file from one share of its length to another with noise."""
    data = bytearray(path.read_bytes())
    a, b = int(len(data) * start), int(len(data) * end)
    data[a:b] = np.random.default_rng(1).integers(0, 256, b - a, np.uint8).tobytes()
    path.write_bytes(data)
    return path


def edit(path: Path, start: int, milliseconds: int) -> Path:
    """Let an MP4's edit list show only a part, from `start` ticks of the media on."""
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 12
    data[entry : entry + 8] = struct.pack(">Ii", milliseconds, start)
    path.write_bytes(data)
    return path


def click(path: Path) -> float:
    """Return the time of the click in the file's sound, in s of the file's clock."""
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray().astype(float)).max(axis=0)
            loud = samples > (0.3 if frame.format.name.startswith("fl") else 0.3 * 2**15)
            if loud.any() and frame.pts is not None and frame.time_base is not None:
                return float(frame.pts * frame.time_base) + int(loud.argmax()) / frame.sample_rate
    raise AssertionError(f"no click in {path}")


def key_times(path: Path) -> list[float]:
    """Return the times of the pictures at which a player may begin, in s of the file's clock."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.is_keyframe]
        return [
            float(packet.pts * packet.time_base) for packet in packets if packet.pts is not None
        ]


def flash(path: Path) -> float:
    """Return the time of the first bright picture, in s of the file's own clock."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            bright = frame.to_ndarray(format="gray").mean() > 128
            if bright and frame.pts is not None and frame.time_base is not None:
                return float(frame.pts * frame.time_base)
    raise AssertionError(f"no flash in {path}")


def retimed(clip: Clip, path: Path, milliseconds: Sequence[int]) -> Path:
    """Write the clip as Matroska of single JPEGs that are to be shown at any times, in ms.

    The n-th must be n or later, since FFmpeg writes no file whose times of decoding go back.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        assert isinstance(stream, VideoStream)
        (stream.width, stream.height), stream.pix_fmt = clip.size, "yuvj420p"
        stream.codec_context.time_base = FRAME
        encoded = [
            packet for n in range(len(clip.grays)) for packet in stream.encode(clip.frame(n))
        ]
        for n, (packet, time) in enumerate(zip(encoded, milliseconds, strict=True)):
            packet.time_base = Fraction(1, 1000)
            packet.dts, packet.pts, packet.duration = n, time, 40
            container.mux(packet)
    return path
