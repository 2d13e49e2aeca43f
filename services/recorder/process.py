"""The recorder's process."""

import contextlib
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from emostream.services.recorder.archive.schema import DATABASE
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.buffered_archive import BufferedArchive
from emostream.services.recorder.fault_status import FaultStatus
from emostream.services.recorder.lossless import LosslessRecorder, stopping_delivery
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.services.recorder.retention import DAY_S, Limits, Retention
from emostream.services.recorder.row_buffer import RowBuffer
from emostream.services.recorder.stage import RecorderStage
from emostream.services.recorder.video_recorder import VideoRecorder
from emostream.shared.accounts import Accounts
from emostream.shared.blur import FaceBlur
from emostream.shared.bus import LIVE_HWM, RESULTS_HWM, Subscription
from emostream.shared.config import Config
from emostream.shared.control import StreamSwitch
from emostream.shared.errors import MessageError
from emostream.shared.health import Health
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Emotion, Frame, Message
from emostream.shared.optional_groups import require
from emostream.shared.recording_report import RECORDINGS_PATH
from emostream.shared.service import Service

if TYPE_CHECKING:
    from emostream.services.recorder.stream_recording import StreamRecording

# Pictures that may wait while a file is opened or the disk is slow: about a second of 720p video.
MOST_PICTURES = 30
TAKE_AT_MOST = 8
# How long a lossless recorder waits for this many answers. A commit and a confirmation for each
# frame would double what it costs.
LINGER_S = 0.03
# The share of lossless.stall_timeout for which a lossless recorder waits for another program's
# lock.
PATIENCE = 2 / 3


def run(config: Config, instance: int) -> None:
    """Record until stopped."""
    settings = config.recorder
    if config.delivery == "lossless":
        _record_all(config, instance)
        return
    # Otherwise only the first video recording would fail for lack of these.
    require("emostream recorder", "recorder", "av", "PIL")
    with (
        Service("recorder", config, settings.metrics, Frame, instance) as service,
        contextlib.closing(
            live_stage(
                config,
                service.registry,
                service.health,
                service.bad_message,
                accounts=service.metrics.accounts,
            )
        ) as stage,
    ):
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        service.on_stream_gone(stage.forget)
        service.metrics_server.serve_json(RECORDINGS_PATH, lambda: stage.recordings)
        inbox = FifoInbox(service.intake.dropped, MOST_PICTURES)
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

        service.loop.run(inbox, step, publisher, limit=TAKE_AT_MOST, reports_progress=True)


def _record_all(config: Config, instance: int) -> None:
    """Record and confirm every answer. Only rows are recorded, without video or limits."""
    settings = config.recorder
    # Less than capture's timeout, so that the run ends with this reason.
    patience = config.lossless.stall_timeout * PATIENCE
    with (
        stopping_delivery(),
        Service("recorder", config, settings.metrics, Emotion, instance) as service,
        contextlib.ExitStack() as stack,
    ):
        archive = ArchiveWriter(Path(settings.folder) / DATABASE, open_timeout=patience)
        # Uncommitted rows were not confirmed, so they are sent again.
        stack.callback(archive.abandon)
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        inbox = FifoInbox()
        metrics = RecorderMetrics(service.registry, service.metrics.accounts)
        faults = FaultStatus(service.health, metrics)
        window = config.lossless.window
        stage = LosslessRecorder(archive, metrics, faults, service.bad_message, patience, window)
        service.on_stream_gone(stage.forget)
        service.receive([Subscription(config.connect.emotion, stage.topics, RESULTS_HWM)], inbox)
        # At most half the window, so that the next frames are on their way in the meantime.
        limit = max(1, min(TAKE_AT_MOST, window // 2))
        service.loop.run(inbox, stage, publisher, limit, LINGER_S)


def live_stage(
    config: Config,
    registry: CollectorRegistry,
    health: Health,
    bad: Callable[[MessageError], None],
    clock: Callable[[], float] = time.monotonic,
    *,
    accounts: Accounts | None = None,
) -> RecorderStage:
    """Return the stage of a live recorder from the configuration; `clock` is steady, in s."""
    settings = config.recorder
    folder = Path(settings.folder)
    metrics = RecorderMetrics(registry, accounts)
    faults = FaultStatus(health, metrics, clock)
    buffer = RowBuffer(settings.buffer_s)
    archive = BufferedArchive(folder / DATABASE, buffer, faults, metrics, bad, clock)
    limits = Limits(settings.max_gb * 1e9, settings.max_days * DAY_S)
    video = VideoRecorder(
        functools.partial(_new_recording, folder, settings.max_gb),
        StreamSwitch(settings.video, metrics.tell_recording),
        FaceBlur(StreamSwitch(config.blur, metrics.tell_blurred)),
        metrics,
        faults,
        bad,
        wait=config.live.join_ms / 1000,
    )
    retention = Retention(folder, limits, metrics, faults)
    return RecorderStage(archive, video, retention, bad, clock, health.mark_progress)


def _new_recording(folder: Path, max_gb: float, stream: str) -> "StreamRecording":
    """Return the recording of a stream; RecordingError if FFmpeg has no video encoder."""
    # Imported here: most recorders record no video, and FFmpeg and OpenCV take time and memory.
    import cv2

    from emostream.services.recorder.encoding import best_encoder
    from emostream.services.recorder.stream_recording import MAX_FILE_BYTES, StreamRecording

    cv2.setNumThreads(1)
    # Only finished files can be deleted, so one must not take most of the space.
    file_bytes = int(min(MAX_FILE_BYTES, max_gb * 1e8))
    return StreamRecording(folder / stream, best_encoder(), file_bytes)
