"""The configuration of one analysis: private addresses, recording, and folder."""

import re
from pathlib import Path

import msgspec

from emostream.services.capture.ffmpeg.video_file import VideoDescription
from emostream.services.capture.source_url import path_url
from emostream.services.cli.analysis.inputs import stream_of
from emostream.services.detector.backends import create
from emostream.services.detector.process import selected
from emostream.shared.config import Config, Connect, Source
from emostream.shared.config.schema import MIN_HUNG_AFTER_S
from emostream.shared.errors import ConfigError
from emostream.shared.source_urls import escape

ANY_PORT = "127.0.0.1:0"
FASTEST = 1000.0


def for_recording(
    config: Config,
    video: Path,
    folder: Path,
    run: str,
    sample: float,
    stream: str = "",
    picture_bytes: int = 0,
) -> Config:
    """Return the configuration to write every frame of `video` to a database in `folder`.

    Addresses are unchanged; see `with_sockets`. `sample` is in pictures per second, 0 for all;
    `stream` is the stream name, by default derived from the file name. Pictures may have
    `picture_bytes`, regardless of the configured limit.
    """
    replace = msgspec.structs.replace
    hung_after = min(config.live.hung_after, config.lossless.stall_timeout / 2)
    source = Source(
        name=stream or stream_of(video),
        url=escape(path_url(video.absolute())),
        pace="fast",
        sample=sample,
    )
    megabytes = max(config.live.max_message_mb, -(-picture_bytes // 1_000_000))
    return replace(
        config,
        delivery="lossless",
        # A hung stage is restarted before capture gives up waiting for it.
        live=replace(
            config.live,
            hung_after=max(MIN_HUNG_AFTER_S, hung_after),
            max_message_mb=megabytes,
        ),
        lossless=replace(config.lossless, credit_from=("recorder",)),
        capture=replace(config.capture, sources=(source,), run=run, metrics=ANY_PORT),
        detector=replace(config.detector, shards=1, metrics=ANY_PORT),
        classifier=replace(
            config.classifier, shard=0, of=1, standby=False, standbys=(), metrics=ANY_PORT
        ),
        recorder=replace(
            config.recorder, folder=str(folder.absolute()), video=False, metrics=ANY_PORT
        ),
    )


def expected_frames(video: VideoDescription, sample: float) -> int | None:
    """Return the estimated number of pictures at `sample` per second, None if unknown."""
    if sample and video.duration_s:
        return round(video.duration_s * min(sample, video.rate or sample))
    return video.frames


def for_few_frames(config: Config, frames: int | None) -> Config:
    """Return the configuration for a recording with this many frames (None if unknown).

    With fewer frames than a track needs to enter, frames are analyzed like single photos.
    """
    classifier = config.classifier
    if frames is None or frames >= classifier.enter_frames:
        return config
    single = msgspec.structs.replace(classifier, enter_frames=1)
    return msgspec.structs.replace(config, classifier=single)


def check_detector(config: Config) -> None:
    """Raise the errors of the detector's start, so that no analysis begins without its weights.

    These are WeightsError for missing or wrong weights, and MissingPackageError for packages.
    """
    chosen = selected(config.detector)
    # Shipped weights are intact if found; running them takes a moment.
    if config.detector.weights:
        create(chosen)


def with_sockets(config: Config, folder: Path) -> Config:
    """Return the configuration with private addresses, as files in `folder`."""
    replace = msgspec.structs.replace

    def address(topic: str) -> str:
        return f"ipc://{folder}/{topic}"

    topics = {topic: (address(topic),) for topic in ("frame", "faces", "emotion", "credit")}
    return replace(
        config,
        connect=Connect(**topics),
        capture=replace(config.capture, bind=address("frame")),
        detector=replace(config.detector, bind=address("faces")),
        classifier=replace(config.classifier, bind=address("emotion")),
        recorder=replace(config.recorder, bind=address("credit")),
    )


def sample_rate(text: str) -> float:
    """Return the pictures per second for text such as `5/s` or `0.5/s`.

    Raises ConfigError for anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)(?:/s)?", text.strip())
    rate = float(match[1]) if match else 0.0
    if not 0 < rate <= FASTEST:
        raise ConfigError(f"--sample {text}: write pictures per second, for example 5/s")
    return rate
