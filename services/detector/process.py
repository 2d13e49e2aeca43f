"""The detector's process."""

import logging
import os
import time
from pathlib import Path

import cv2

from emostream.services.detector.backends import Selection, create, select
from emostream.services.detector.detection import FaceDetector
from emostream.services.detector.metrics import DetectorMetrics
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.tiling import Tiling
from emostream.services.detector.tracking import track_ids
from emostream.shared.bus import LIVE_HWM, Subscription
from emostream.shared.config import Config
from emostream.shared.config import Detector as Settings
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Frame
from emostream.shared.replay_sequence import ReplaySequence
from emostream.shared.service import Service

# With more helpers, decoding a recording is slower than searching its frames.
MAX_HELPERS = 4
log = logging.getLogger("emostream")


def run(config: Config, instance: int) -> None:
    """Find the faces in each frame until stopped."""
    settings = config.detector
    # OpenCV's thread pool would spin on every core for work that takes a millisecond.
    cv2.setNumThreads(settings.threads)
    with Service("detector", config, settings.metrics, Frame, instance) as service:
        publisher = service.publisher(settings.bind, LIVE_HWM)
        chosen = selected(settings)
        log.info("detecting faces with %s", chosen)
        inbox = FifoInbox() if service.is_lossless else service.live_inbox()
        stage = new_stage(settings, chosen, live=not service.is_lossless)
        service.on_stream_gone(stage.forget)
        metrics = DetectorMetrics(
            service.registry, stage.looks, lambda: stage.whole_only, lambda: stage.windows_only
        )
        metrics.set_detector(chosen)
        frames = Subscription(config.connect.frame, ["frame/"], LIVE_HWM)
        service.receive([frames], inbox, paced=True, as_needed=True)
        if service.is_lossless:
            sequence = ReplaySequence("detector", stage, stage, config.lossless.window)
            service.on_stream_gone(sequence.forget)
            service.loop.run_in_sequence(inbox, sequence, publisher, stage.look_ahead)
            return
        service.loop.run(
            inbox,
            lambda messages: [
                answer
                for message in messages
                for answer in stage(message, whole_only=inbox.is_behind)
            ],
            publisher,
        )


def new_stage(
    settings: Settings, chosen: Selection, *, live: bool, helpers: int | None = None
) -> DetectorStage:
    """Return the stage from the configuration, for live streams or recordings.

    `helpers` is the number of additional detectors that search frames ahead, by default as many as
    are useful.
    """
    if helpers is None:
        # Live frames are searched when they arrive; for recordings, many frames wait for this
        # stage.
        helpers = 0 if live else min(os.cpu_count() or 1, MAX_HELPERS)
    return DetectorStage(
        new_detector(settings, chosen),
        track_ids(time.time()),
        tiling=new_tiling(settings, chosen, live=live),
        score=chosen.defaults.score if settings.score is None else settings.score,
        leave_after=settings.leave_after,
        shards=settings.shards,
        helpers=[new_detector(settings, chosen) for _ in range(helpers)],
    )


def selected(settings: Settings) -> Selection:
    """Return the configured detector; WeightsError without its weights."""
    return select(settings.backend, Path(settings.weights) if settings.weights else None)


def new_tiling(settings: Settings, chosen: Selection, *, live: bool) -> Tiling:
    """Return the configured tiling."""
    usual = chosen.defaults.live_looks if live else chosen.defaults.extra_looks
    return Tiling(
        chosen.defaults.tiles if settings.tiles is None else settings.tiles,
        chosen.defaults.tile_every if settings.tile_every is None else settings.tile_every,
        # Yunet does not shrink small frames; blazeface shrinks every frame.
        settings.long_side if chosen.backend == "yunet" else 0,
        usual if settings.extra_looks is None else settings.extra_looks,
        chosen.defaults.search_every if settings.search_every is None else settings.search_every,
    )


def new_detector(settings: Settings, chosen: Selection) -> FaceDetector:
    """Return a detector from the configuration; WeightsError if the weights do not fit."""
    return create(
        chosen, score=settings.score, threads=settings.threads, long_side=settings.long_side
    )
