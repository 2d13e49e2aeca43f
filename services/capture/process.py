"""The capture's process."""

import time
from collections.abc import Mapping

import cv2

from emostream.services.capture.flow_control import FlowControl
from emostream.services.capture.framer import Framer
from emostream.services.capture.lossless.delivery import deliver_all
from emostream.services.capture.metrics import SourceCollector
from emostream.services.capture.picture import Picture
from emostream.services.capture.source_set import SourceSet
from emostream.services.capture.source_status import SourceState, SourceStatus
from emostream.shared.bus import LIVE_HWM, RESULTS_HWM, Publisher, Subscription
from emostream.shared.config import Config
from emostream.shared.messages import Frame, stamped
from emostream.shared.service import TAKE_TIMEOUT, Service

# Seconds; how often flow control is asked while it holds back a stream.
BLOCKED_TIMEOUT = 0.002


def run(config: Config, instance: int) -> None:
    """Publish the pictures of all sources until told to stop; stay after their end to report it."""
    settings = config.capture
    fast = {source.name for source in settings.sources if source.pace == "fast"}
    cv2.setNumThreads(1)
    with Service("capture", config, settings.metrics, Frame, instance) as service:
        publisher = service.publisher(settings.bind, LIVE_HWM)
        if config.delivery == "lossless":
            deliver_all(config, service, publisher)
            return
        framer = Framer(settings.encoding, settings.jpeg_quality)
        flow_control = FlowControl(framer.run, config.live.backlog)
        if fast:
            answers = Subscription(
                config.connect.emotion, [f"emotion/{name}/" for name in fast], RESULTS_HWM
            )
            service.listen([answers], flow_control.record_answer)
        with SourceSet(settings.sources) as sources:
            service.registry.register(SourceCollector(sources.statuses))
            ended: set[str] = set()
            while not service.stop.is_set():
                statuses = sources.statuses()
                _report_health(service, statuses)
                blocked = {name for name in fast if flow_control.must_wait(name)}
                taken = sources.take(BLOCKED_TIMEOUT if blocked else TAKE_TIMEOUT, blocked)
                if taken:
                    _publish(service, publisher, framer, *taken)
                    flow_control.record_published(taken[0], framer.count(taken[0]) - 1)
                elif sources.finished:
                    # Nothing more will come, so `take` waits no longer.
                    service.stop.wait(TAKE_TIMEOUT)
                for name in _finished_streams(statuses, framer) - ended:
                    publisher.send(stamped(framer.end(name), service.name, time.time_ns()))
                    ended.add(name)


def _publish(
    service: Service, publisher: Publisher, framer: Framer, stream: str, picture: Picture
) -> None:
    service.metrics.taken(stream)
    with service.metrics.seconds.time():
        publisher.send(stamped(framer.frame(stream, picture), service.name, picture.t))
    service.metrics.given(stream, (time.time_ns() - picture.t) / 1e9)


def _report_health(service: Service, statuses: Mapping[str, SourceStatus]) -> None:
    for name, status in statuses.items():
        if status.ready:
            service.health.clear_missing(name)
        else:
            service.health.set_missing(name, f"{name} is {status}")
    service.check_health()


def _finished_streams(statuses: Mapping[str, SourceStatus], framer: Framer) -> set[str]:
    """Return the streams that ended and whose pictures were all published."""
    return {
        name
        for name, status in statuses.items()
        if status.state is SourceState.ENDED
        and framer.count(name) >= status.pictures - status.dropped
    }
