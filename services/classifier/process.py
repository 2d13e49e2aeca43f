"""The classifier's process."""

import functools
import gc
import logging
import os
import sys

from emostream.models import Classifier, load
from emostream.services.classifier.baseline import neutral_index
from emostream.services.classifier.inclusion import InclusionCriteria
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.model_reloader import ModelReloader
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.stage import ClassifierStage
from emostream.shared.bus import LIVE_HWM, RESULTS_HWM, Publisher, Subscription
from emostream.shared.config import Classifier as Settings
from emostream.shared.config import Config
from emostream.shared.errors import ExitCode
from emostream.shared.inbox import FifoInbox, LiveInbox
from emostream.shared.messages import Faces, Message
from emostream.shared.replay_sequence import ReplaySequence
from emostream.shared.service import Service

SWITCH_S = 0.0005
log = logging.getLogger("emostream")


def run(config: Config, instance: int) -> None:
    """Classify the faces of this classifier's shards until told to stop, then end the process."""
    settings = config.classifier
    with Service("classifier", config, settings.metrics, Faces, instance) as service:
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        model = open_model(settings)
        metrics = ClassifierMetrics(service.registry)
        stage = new_stage(settings, model, metrics)
        service.on_stream_gone(stage.forget)
        shards = range(settings.shard, config.detector.shards, settings.of)
        faces = Subscription(config.connect.faces, [f"faces/{n}/" for n in shards], LIVE_HWM)
        log.info("emotions are on %s", publisher.endpoint)
        if service.is_lossless:
            _answer_all(service, stage, faces, publisher)
        else:
            inbox = service.live_inbox()
            reloader = ModelReloader(
                model,
                functools.partial(_open_while_running, settings, inbox),
                metrics.swaps.labels("refused").inc,
                service.reload,
                service.stop,
            )
            del model  # once another has taken over, nothing must keep this one in memory
            service.receive([faces], inbox, paced=True)
            step = functools.partial(_answer_live, service, stage, reloader, metrics)
            service.run(inbox, step, publisher, settings.max_batch, settings.max_wait_ms / 1000)
    # Everything of ours is closed; TensorFlow's own teardown would take seconds more.
    os._exit(ExitCode.OK)


def _answer_all(
    service: Service, stage: ClassifierStage, faces: Subscription, publisher: Publisher
) -> None:
    """Answer each frame once, in order, with the same model from beginning to end.

    A batch is the faces of one frame, so that the same file gives the same figures.
    """
    inbox = FifoInbox()
    service.receive([faces], inbox)
    window = service.config.lossless.window
    sequence = ReplaySequence("classifier", stage, lambda message: stage([message]), window)
    service.on_stream_gone(sequence.forget)
    service.run_in_sequence(inbox, sequence, publisher)


def _answer_live(
    service: Service,
    stage: ClassifierStage,
    reloader: ModelReloader,
    metrics: ClassifierMetrics,
    messages: list[Message],
) -> list[Message]:
    answers = _take_over(stage, reloader.take(), metrics)
    answers += stage(messages)
    if stage.failure:
        service.health.set_missing("model", stage.failure)
    else:
        service.health.clear_missing("model")
    return answers


def new_stage(settings: Settings, model: Classifier, metrics: ClassifierMetrics) -> ClassifierStage:
    """Return the stage as the configuration has it."""
    return ClassifierStage(
        model,
        metrics,
        SmoothingRules.of(settings),
        settings.max_batch,
        baseline=settings.baseline,
        criteria=InclusionCriteria(settings.min_quality, settings.enter_frames),
    )


def open_model(settings: Settings) -> Classifier:
    """Return the model that the configuration names, ready to answer.

    WeightsError where it cannot be used, ConfigError where it has no neutral for a baseline or
    cannot be reweighted to the prior.
    """
    model = load(
        settings.model,
        engine=settings.engine,
        intra_op=settings.threads,
        prior=settings.prior,
        prior_strength=settings.prior_strength,
    )
    if settings.baseline:
        neutral_index(model.labels, model.name)
    model.warm_up()
    return model


def _open_while_running(settings: Settings, inbox: LiveInbox) -> Classifier:
    """Return the model, opened while another one serves."""
    switch = sys.getswitchinterval()
    # Opening is a second of Python: the answering thread must get its turn at once, and what
    # waits for it all the same is answered late instead of dropped.
    sys.setswitchinterval(SWITCH_S)
    try:
        with inbox.pause_dropping():
            # The model before this one is a circle of TensorFlow's that Python finds late.
            gc.collect()
            return open_model(settings)
    finally:
        sys.setswitchinterval(switch)


def _take_over(
    stage: ClassifierStage, model: Classifier | None, metrics: ClassifierMetrics
) -> list[Message]:
    """Let a new model answer, if there is one; return the events of that."""
    if model is None:
        return []
    events = stage.switch_model(model)
    metrics.swaps.labels("swapped").inc()
    log.info("model %s (%s, sha256 %.12s) answers now", model.name, model.engine, model.sha256)
    return events
