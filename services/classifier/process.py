"""The classifier's process."""

import contextlib
import functools
import gc
import logging
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from emostream.models import Classifier
from emostream.models.classifier import MAX_BATCH
from emostream.models.ray_pool.model import LiveModel
from emostream.services.classifier.baseline import neutral_index
from emostream.services.classifier.handover import HandoverInbox
from emostream.services.classifier.inclusion import InclusionCriteria
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.model_reloader import ModelReloader
from emostream.services.classifier.model_settings import model_choice
from emostream.services.classifier.overlap import OverlappedBatch
from emostream.services.classifier.peers import begin, follow_peer, live_inbox, role_of
from emostream.services.classifier.ray_gateway import RayGateway, ray_gateway
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.stage import ClassifierStage, Role
from emostream.shared.bus import LIVE_HWM, RESULTS_HWM, Publisher, Subscription
from emostream.shared.classifier_peers import classifier_peers
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
    """Classify the faces of this classifier's shards until stopped, then end the process."""
    settings = config.classifier
    peers = classifier_peers(config, instance)
    with (
        Service("classifier", config, settings.metrics, Faces, instance) as service,
        _gateway(settings, service) as gateway,
    ):
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        opened = gateway.open_model if gateway else functools.partial(open_model, settings)
        model = opened()
        metrics = ClassifierMetrics(service.registry)
        stage = new_stage(settings, model, metrics, role_of(settings, peers))
        service.on_stream_gone(stage.forget)
        shards = range(settings.shard, config.detector.shards, settings.of)
        faces = Subscription(config.connect.faces, [f"faces/{n}/" for n in shards], LIVE_HWM)
        log.info("publishing emotions on %s with %s", publisher.endpoint, _description(model))
        if service.is_lossless:
            _answer_all(service, stage, faces, publisher)
        else:
            inbox = live_inbox(service, peers, shards, metrics)
            reloader = ModelReloader(
                model,
                functools.partial(_open_while_running, opened, inbox),
                metrics.swaps.labels("refused").inc,
                service.reload,
                service.stop,
            )
            del model  # after a replacement, nothing must keep this one in memory
            # With several shards, classifiers would request parts of different frames.
            whole = config.detector.shards == 1
            service.receive([faces], inbox, paced=True, as_needed=whole)
            take_over = functools.partial(_take_over, service, stage, reloader, metrics)
            _answer_live(service, stage, inbox, publisher, take_over, gateway)
    # Everything is closed; TensorFlow's own teardown would take seconds.
    os._exit(ExitCode.OK)


def _answer_all(
    service: Service, stage: ClassifierStage, faces: Subscription, publisher: Publisher
) -> None:
    """Answer each frame once, in order, with the same model from start to end.

    A batch has the faces of one frame, so that results are reproducible.
    """
    inbox = FifoInbox()
    service.receive([faces], inbox)
    window = service.config.lossless.window
    sequence = ReplaySequence("classifier", stage, lambda message: stage([message]), window)
    service.on_stream_gone(sequence.forget)
    service.loop.run_in_sequence(inbox, sequence, publisher)


def _answer_live(
    service: Service,
    stage: ClassifierStage,
    inbox: LiveInbox | HandoverInbox,
    publisher: Publisher,
    take_over: Callable[[], list[Message]],
    gateway: RayGateway | None,
) -> None:
    """Answer live messages in batches; assemble the next large batch while one is processed.

    Small batches on a CPU are not overlapped: there is no idle time, and extra threads add delay.
    With a gateway, there are as many batches at a time as its actors take.
    """
    settings = service.config.classifier
    batches = (publisher, settings.max_batch, settings.max_wait_ms / 1000)

    def answer(messages: list[Message]) -> list[Message]:
        states, left = begin(inbox, messages)
        return take_over() + follow_peer(service, stage, states) + stage(left)

    def overlapped(messages: list[Message]) -> OverlappedBatch:
        # The peer's answers apply to these messages, not to those in progress.
        states, left = begin(inbox, messages)
        return OverlappedBatch(
            messages,
            left,
            stage,
            worker,
            lambda: take_over() + follow_peer(service, stage, states),
        )

    if gateway:
        with ThreadPoolExecutor(gateway.most_batches, "batches") as worker:
            service.loop.run_in_flight(
                inbox, overlapped, *batches, lambda: gateway.places(inbox.longest_wait())
            )
        return
    if stage.batches.model.device == "cpu" and settings.max_batch <= MAX_BATCH:
        service.loop.run(inbox, answer, *batches)
        return
    with ThreadPoolExecutor(1, "batches") as worker:
        service.loop.run_overlapped(inbox, overlapped, *batches)


def _gateway(
    settings: Settings, service: Service
) -> contextlib.AbstractContextManager[RayGateway | None]:
    """Return the gateway to Ray, if the configuration wants one."""
    if settings.engine != "ray":
        return contextlib.nullcontext()
    return ray_gateway(settings, open_model, service.registry, service.health)


def new_stage(
    settings: Settings, model: LiveModel, metrics: ClassifierMetrics, role: Role = Role.ALONE
) -> ClassifierStage:
    """Return the stage from the configuration."""
    return ClassifierStage(
        model,
        metrics,
        SmoothingRules.of(settings),
        settings.max_batch,
        baseline=settings.baseline,
        criteria=InclusionCriteria(settings.min_quality, settings.enter_frames),
        role=role,
    )


def open_model(settings: Settings) -> Classifier:
    """Return the configured model, ready to answer.

    Raises WeightsError if it is unusable, ConfigError if it has no neutral label for a baseline,
    cannot be reweighted to the prior, or needs an unusable GPU.
    """
    model = model_choice(settings).open()
    if settings.baseline:
        neutral_index(model.labels, model.name)
    return model


def _open_while_running(
    opened: Callable[[], LiveModel], inbox: LiveInbox | HandoverInbox
) -> LiveModel:
    """Return the model, opened while another one is in use."""
    switch = sys.getswitchinterval()
    # Opening takes a second of Python time. The answering thread must get the GIL quickly, and
    # messages that still have to wait are answered late instead of dropped.
    sys.setswitchinterval(SWITCH_S)
    try:
        with inbox.pause_dropping():
            # The previous model is a reference cycle in TensorFlow that Python collects late.
            gc.collect()
            return opened()
    finally:
        sys.setswitchinterval(switch)


def _take_over(
    service: Service, stage: ClassifierStage, reloader: ModelReloader, metrics: ClassifierMetrics
) -> list[Message]:
    """Switch to a new model, if there is one; return the resulting events.

    Also update the process's health by whether the last call of the model failed.
    """
    if stage.failure:
        service.health.set_missing("model", stage.failure)
    else:
        service.health.clear_missing("model")
    model = reloader.take()
    if model is None:
        return []
    events = stage.switch_model(model)
    metrics.swaps.labels("swapped").inc()
    log.info("%s is now in use", _description(model))
    return events


def _description(model: LiveModel) -> str:
    return (
        f"model {model.name} ({model.engine} on the {model.device}, by {model.runtime},"
        f" sha256 {model.sha256[:12]})"
    )
