"""The classifier's process."""

import logging
import os

from models import load
from services.classifier.metrics import ClassifierMetrics
from services.classifier.smoothing import Rules
from services.classifier.stage import ClassifierStage
from shared.bus import LIVE_HWM, RESULTS_HWM, Subscription
from shared.config import Config
from shared.messages import Faces, Message
from shared.service import Service

log = logging.getLogger("emostream")


def run(config: Config, instance: int) -> None:
    """Classify the faces of this classifier's shards until told to stop, then end the process."""
    settings = config.classifier
    with Service("classifier", config, settings.metrics, Faces, instance) as service:
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        model = load(settings.model, intra_op=settings.threads)
        model.warm_up()
        stage = ClassifierStage(
            settings.model,
            model.labels,
            model.predict,
            ClassifierMetrics(service.registry, settings.model, model.sha256, model.labels),
            Rules(settings.smoothing, settings.hysteresis, settings.hold, settings.leave_after),
            settings.max_batch,
        )
        inbox = service.live_inbox()
        shards = range(settings.shard, config.detector.shards, settings.of)
        topics = [f"faces/{shard}/" for shard in shards]
        service.receive([Subscription(config.connect.faces, topics, LIVE_HWM)], inbox)
        log.info("emotions are on %s", publisher.endpoint)
        linger = settings.max_wait_ms / 1000

        def step(messages: list[Message]) -> list[Message]:
            answers = stage(messages)
            if stage.failure:
                service.health.lacks("model", stage.failure)
            else:
                service.health.has("model")
            return answers

        service.run(inbox, step, publisher, limit=settings.max_batch, linger=linger)
    # Everything of ours is closed; TensorFlow's own teardown would take seconds more.
    os._exit(0)
