"""The capture's process."""

import time
from collections.abc import Mapping

import cv2

from emostream.services.capture.flow import Flow
from emostream.services.capture.framer import Framer
from emostream.services.capture.lossless.delivery import give_all
from emostream.services.capture.metrics import SourceCollector
from emostream.services.capture.picture import Picture
from emostream.services.capture.source_set import Sources
from emostream.services.capture.source_thread import State, Status
from emostream.shared.bus import LIVE_HWM, RESULTS_HWM, Publisher, Subscription
from emostream.shared.config import Config
from emostream.shared.messages import Frame, stamped
from emostream.shared.service import TAKE_TIMEOUT, Service


def run(config: Config, instance: int) -> None:
    """Give the pictures of all sources until told to stop; after their end, stay and say so."""
    settings = config.capture
    fast = {source.name for source in settings.sources if source.pace == "fast"}
    cv2.setNumThreads(1)
    with Service("capture", config, settings.metrics, Frame, instance) as service:
        publisher = service.publisher(settings.bind, LIVE_HWM)
        if config.delivery == "lossless":
            give_all(config, service, publisher)
            return
        framer = Framer(settings.encoding, settings.jpeg_quality)
        flow = Flow(framer.run, config.live.backlog)
        if fast:
            answers = Subscription(
                config.connect.emotion, [f"emotion/{name}/" for name in fast], RESULTS_HWM
            )
            service.listen([answers], flow.answered)
        with Sources(settings.sources) as sources:
            service.registry.register(SourceCollector(sources.statuses))
            ended: set[str] = set()
            while not service.stop.is_set():
                statuses = sources.statuses()
                _report(service, statuses)
                held = {name for name in fast if flow.holds(name)}
                taken = sources.take(TAKE_TIMEOUT if not held else 0.002, held)
                if taken:
                    _give(service, publisher, framer, *taken)
                    flow.gave(taken[0], framer.given(taken[0]) - 1)
                elif sources.finished:
                    # Nothing more will come, so `take` waits no longer.
                    service.stop.wait(TAKE_TIMEOUT)
                for name in _finished(statuses, framer) - ended:
                    publisher.send(stamped(framer.end(name), service.name, time.time_ns()))
                    ended.add(name)


def _give(
    service: Service, publisher: Publisher, framer: Framer, stream: str, picture: Picture
) -> None:
    service.metrics.taken(stream)
    with service.metrics.seconds.time():
        publisher.send(stamped(framer.frame(stream, picture), service.name, picture.t))
    service.metrics.given(stream, (time.time_ns() - picture.t) / 1e9)


def _report(service: Service, statuses: Mapping[str, Status]) -> None:
    for name, status in statuses.items():
        if status.ready:
            service.health.clear_missing(name)
        else:
            service.health.set_missing(name, f"{name} is {status}")
    service.check_health()


def _finished(statuses: Mapping[str, Status], framer: Framer) -> set[str]:
    """Return the streams that ended and whose pictures were all given."""
    return {
        name
        for name, status in statuses.items()
        if status.state is State.ENDED and framer.given(name) >= status.pictures - status.dropped
    }
