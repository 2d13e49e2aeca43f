"""The recorder's process."""

import contextlib
from pathlib import Path

import cv2

from emostream.services.recorder.archive.schema import DATABASE
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.encoding import best_encoder
from emostream.services.recorder.lossless import LosslessRecorder
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.services.recorder.private_files import make_folder
from emostream.services.recorder.retention import DAY_S, Limits, Retention
from emostream.services.recorder.stage import RecorderStage
from emostream.services.recorder.stream_recording import MAX_FILE_BYTES, StreamRecording
from emostream.services.recorder.video_recorder import VideoRecorder
from emostream.shared.blur import FaceBlur
from emostream.shared.bus import LIVE_HWM, RESULTS_HWM, Subscription
from emostream.shared.config import Config, Recorder
from emostream.shared.control import StreamSwitch
from emostream.shared.errors import RecordingError
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Emotion, Frame, Message
from emostream.shared.service import Service

# Pictures that may wait while a file is opened or the disk is slow: about a second of 720p video.
MOST_PICTURES = 30
TAKE_AT_MOST = 8


def run(config: Config, instance: int) -> None:
    """Record what is seen until told to stop."""
    settings = config.recorder
    if config.delivery == "lossless":
        _record_all(config, instance)
        return
    cv2.setNumThreads(1)
    with (
        Service("recorder", config, settings.metrics, Frame, instance) as service,
        contextlib.closing(_stage(config, service)) as stage,
    ):
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        inbox = FifoInbox(service.metrics.dropped, MOST_PICTURES)
        service.receive(
            [
                Subscription(config.connect.emotion, ["event/", "emotion/"], RESULTS_HWM),
                Subscription(config.connect.control, ["control/"], RESULTS_HWM),
            ],
            inbox,
            needed=Emotion,
        )
        pixels = service.receive([Subscription(config.connect.frame, [], LIVE_HWM)], inbox)

        def step(messages: list[Message]) -> list[Message]:
            credits = stage(messages)
            pixels.follow(stage.pixel_topics)
            return credits

        service.run(inbox, step, publisher, limit=TAKE_AT_MOST)


def _record_all(config: Config, instance: int) -> None:
    """Record every answer and confirm it. Only the rows are kept, and all of them."""
    settings = config.recorder
    with (
        Service("recorder", config, settings.metrics, Emotion, instance) as service,
        contextlib.closing(ArchiveWriter(_folder(settings) / DATABASE)) as archive,
    ):
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        inbox = FifoInbox()
        stage = LosslessRecorder(archive, RecorderMetrics(service.registry), service.bad_message)
        service.receive([Subscription(config.connect.emotion, stage.topics, RESULTS_HWM)], inbox)
        service.run(inbox, stage, publisher, limit=TAKE_AT_MOST)


def _stage(config: Config, service: Service) -> RecorderStage:
    settings = config.recorder
    folder = _folder(settings)
    archive = ArchiveWriter(folder / DATABASE)
    metrics = RecorderMetrics(service.registry)
    limits = Limits(settings.max_gb * 1e9, settings.max_days * DAY_S)
    encoder = best_encoder()
    # Only finished files can be deleted, so one must not take most of the room.
    file_bytes = int(min(MAX_FILE_BYTES, settings.max_gb * 1e8))
    video = VideoRecorder(
        lambda stream: StreamRecording(folder / stream, encoder, file_bytes),
        StreamSwitch(settings.video, metrics.tell_recording),
        FaceBlur(StreamSwitch(config.blur, metrics.tell_blurred)),
        metrics,
        service.bad_message,
        wait=config.live.join_ms / 1000,
    )
    retention = Retention(folder, archive, limits, metrics)
    return RecorderStage(archive, video, retention, metrics, service.bad_message)


def _folder(settings: Recorder) -> Path:
    """Return the folder of the recordings, made where it is missing."""
    folder = Path(settings.folder)
    try:
        make_folder(folder)
    except OSError as error:
        raise RecordingError(
            f"recorder.folder {folder} cannot be made: {error.strerror}; name another place"
        ) from error
    return folder
