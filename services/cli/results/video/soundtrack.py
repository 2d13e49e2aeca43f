"""Copies the sound of a file to its annotated video."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, TypeAlias, cast

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from emostream.services.capture.ffmpeg.joined_clock import JoinedClock
from emostream.services.capture.ffmpeg.video_streams import can_decode, main_video

Packets: TypeAlias = "Iterator[Packet[AudioStream]]"

# Codecs that MP4 allows and browsers play, with minimum sample rates; others are re-encoded.
COPIED: Final = {"aac": 0, "mp3": 16_000, "opus": 0, "flac": 0}
ENCODER: Final = "aac"
# Without this, the resampler would pass on audio in the encoder's format unchanged, with gaps.
FRAME_SIZE: Final = 1024
OTHER_RATE: Final = 48_000
BITS_A_CHANNEL: Final = 80_000


class Soundtrack:
    """The sound still to be written, which may be empty."""

    def __init__(self, packets: Packets, target: OutputContainer) -> None:
        self._packets, self._target = packets, target
        self._next: Packet[AudioStream] | None = None
        self._begun = False

    def write(self, until: int | None) -> None:
        """Write the sound up to `until` ns in the new file; None for the rest."""
        if not self._begun:
            self._begun, self._next = True, next(self._packets, None)
        while self._next is not None and (until is None or _ns(self._next) <= until):
            self._target.mux(self._next)
            self._next = next(self._packets, None)


@contextlib.contextmanager
def soundtrack(source: Path, target: OutputContainer, start: int) -> Iterator[Soundtrack]:
    """Add a track with the sound of the file to the target, before anything is written to it.

    `start` is the time of the file (ns on its clock) that is 0 in the target. FFmpeg's errors are
    raised unchanged if the file cannot be opened or the target written. Damaged parts of the sound
    are left out, or all of it if FFmpeg cannot decode it.
    """
    options = {"protocol_whitelist": "file"}
    with av.open(f"file:{source}", options=options, metadata_errors="replace") as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream) or not can_decode(stream):
            yield Soundtrack(iter(()), target)
            return
        packets = _demuxed(container, stream, str(source))
        if _is_copied(stream):
            packets = _copied(packets, target.add_stream_from_template(stream), start)
        else:
            packets = _encoded(packets, _encoder(stream, target), start)
        yield Soundtrack(_rising(packets), target)


def _is_copied(stream: AudioStream) -> bool:
    context = stream.codec_context
    lowest = COPIED.get(context.codec.canonical_name)
    return lowest is not None and context.sample_rate >= lowest


def _demuxed(container: InputContainer, stream: AudioStream, name: str) -> Packets:
    """Yield the packets of the sound, shifted like the pictures if the file's clock restarts."""
    video = main_video(container, name)
    packets = JoinedClock(container, video).joined(container.demux(video, stream))
    # If the file fails, so does its sound.
    with contextlib.suppress(av.FFmpegError):
        for packet in packets:
            if packet.stream.index == stream.index:
                yield cast("Packet[AudioStream]", packet)


def _copied(packets: Packets, track: AudioStream, start: int) -> Packets:
    for packet in packets:
        if packet.pts is None or packet.dts is None:
            continue
        shift = round(Fraction(start, 10**9) / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        # A packet that ends where the video starts is kept: decoders need it for the next one, and
        # the file marks it as not audible.
        if packet.pts + (packet.duration or 0) >= 0:
            packet.stream = track
            yield packet


def _rising(packets: Packets) -> Packets:
    """Skip duplicate packets, which no container accepts."""
    last: int | None = None
    for packet in packets:
        if packet.dts is not None and (last is None or packet.dts > last):
            last = packet.dts
            yield packet


def _encoder(stream: AudioStream, target: OutputContainer) -> AudioStream:
    rates = av.Codec(ENCODER, "w").audio_rates or ()
    rate = stream.codec_context.sample_rate
    track = target.add_stream(ENCODER, rate=rate if rate in rates else OTHER_RATE)
    assert isinstance(track, AudioStream)
    channels = min(2, stream.codec_context.channels)
    track.layout = "mono" if channels == 1 else "stereo"
    track.bit_rate = channels * BITS_A_CHANNEL
    return track


def _encoded(packets: Packets, track: AudioStream, start: int) -> Packets:
    for frame in _resampled(_decoded(packets, start), track):
        yield from track.encode(frame)
    yield from track.encode(None)


def _decoded(packets: Packets, start: int) -> Iterator[av.AudioFrame]:
    """Yield the frames of the sound, with times in the new file, from just before 0."""
    for packet in packets:
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            if frame.pts is None or frame.time_base is None:
                continue
            frame.pts -= round(Fraction(start, 10**9) / frame.time_base)
            if frame.pts * frame.time_base + Fraction(frame.samples, frame.sample_rate) > 0:
                yield frame


def _resampled(frames: Iterator[av.AudioFrame], track: AudioStream) -> Iterator[av.AudioFrame]:
    """Yield the sound in the encoder's format, with silence in gaps."""
    context = track.codec_context
    resampler, kind = None, None
    for frame in frames:
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or now != kind:
            if resampler is not None:
                yield from resampler.resample(None)
            kind = now
            resampler = AudioResampler(
                context.format, context.layout, context.sample_rate, FRAME_SIZE, {"async": "1"}
            )
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _ns(packet: "Packet[AudioStream]") -> int:
    return round((packet.pts or 0) * packet.time_base * 10**9)
