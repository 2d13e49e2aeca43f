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

# Beyond that a recording is not decoded as quickly as its frames are searched.
MAX_HELPERS = 4
log = logging.getLogger("emostream")


def run(config: Config, instance: int) -> None:
    """Find the faces in each frame until told to stop."""
    settings = config.detector
    # OpenCV's pool would spin on every core for work that takes a millisecond.
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
    """Return the stage as the configuration has it, for live streams or for recordings.

    `helpers` is how many further detectors search frames ahead, by default as many as help.
    """
    if helpers is None:
        # Live, a frame is searched when it comes; of a recording many wait for this stage.
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
    """Return the detector that the configuration asks for; WeightsError without its weights."""
    return select(settings.backend, Path(settings.weights) if settings.weights else None)


def new_tiling(settings: Settings, chosen: Selection, *, live: bool) -> Tiling:
    """Return what is searched in addition to the whole frame, as the configuration has it."""
    usual = chosen.defaults.live_looks if live else chosen.defaults.extra_looks
    return Tiling(
        chosen.defaults.tiles if settings.tiles is None else settings.tiles,
        settings.tile_every,
        # Yunet sees a frame that needs no shrinking as it is; blazeface shrinks every one.
        settings.long_side if chosen.backend == "yunet" else 0,
        usual if settings.extra_looks is None else settings.extra_looks,
        chosen.defaults.search_every if settings.search_every is None else settings.search_every,
    )


def new_detector(settings: Settings, chosen: Selection) -> FaceDetector:
    """Return a detector as the configuration has it; WeightsError for weights of something else."""
    return create(
        chosen, score=settings.score, threads=settings.threads, long_side=settings.long_side
    )
