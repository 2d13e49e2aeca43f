"""The recorder's process."""

import contextlib
from pathlib import Path

import cv2

from services.recorder.metrics import RecorderMetrics
from services.recorder.retention import DAY_S, Limits, Retention
from services.recorder.stage import RecorderStage
from services.recorder.store import Store
from services.recorder.video import MAX_FILE_BYTES, StreamVideo, best_encoder
from shared.bus import LIVE_HWM, RESULTS_HWM, Subscription
from shared.config import Config
from shared.errors import RecordingError
from shared.inbox import FullInbox
from shared.messages import Emotion, Frame
from shared.service import Service

DATABASE = "emostream.db"
# Pictures that may wait while a file is opened or the disk is slow: about a second of 720p video.
MOST_PICTURES = 30
TAKE_AT_MOST = 8


def run(config: Config, instance: int) -> None:
    """Record what is seen until told to stop."""
    settings = config.recorder
    primary = Frame if settings.video else Emotion
    cv2.setNumThreads(1)
    with (
        Service("recorder", config, settings.metrics, primary, instance) as service,
        contextlib.closing(_stage(config, service)) as stage,
    ):
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        inbox = FullInbox(service.metrics.dropped, MOST_PICTURES)
        subscriptions = [Subscription(config.connect.emotion, ["event/", "emotion/"], RESULTS_HWM)]
        if settings.video:
            subscriptions.append(Subscription(config.connect.frame, ["frame/"], LIVE_HWM))
        service.receive(subscriptions, inbox)
        service.run(inbox, stage, publisher, limit=TAKE_AT_MOST)


def _stage(config: Config, service: Service) -> RecorderStage:
    settings = config.recorder
    folder = Path(settings.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(
            f"recorder.folder {folder} cannot be made: {error.strerror}; name another place"
        ) from error
    store = Store(folder / DATABASE)
    metrics = RecorderMetrics(service.registry)
    limits = Limits(settings.max_gb * 1e9, settings.max_days * DAY_S)
    encoder = best_encoder()
    # Only finished files can be deleted, so one must not take most of the room.
    file_bytes = int(min(MAX_FILE_BYTES, settings.max_gb * 1e8))
    return RecorderStage(
        store,
        (lambda stream: StreamVideo(folder / stream, encoder, file_bytes))
        if settings.video
        else None,
        Retention(folder, store, limits, metrics),
        metrics,
        service.bad_message,
        wait=config.live.join_ms / 1000,
    )
