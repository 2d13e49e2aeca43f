"""The capture's loop for files of which every frame counts."""

import time
from typing import Final

from emostream.services.capture.framer import Framer
from emostream.services.capture.lossless.credit_window import EVERY, Window
from emostream.services.capture.metrics import SourceCollector
from emostream.services.capture.picture import Picture
from emostream.services.capture.source_set import Sources
from emostream.services.capture.source_thread import State
from emostream.shared.bus import RESULTS_HWM, Publisher, Subscription
from emostream.shared.config import Config
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Credit, Message, stamped
from emostream.shared.service import TAKE_TIMEOUT, Service

CREDITS: Final = 64


def give_all(config: Config, service: Service, publisher: Publisher) -> None:
    """Give every picture of the sources, in order, then stay until told to stop.

    A source that breaks off ends its stream there, and the end says why. DeliveryError where a
    stage behind hangs or is gone.
    """
    settings = config.capture
    framer = Framer(settings.encoding, settings.jpeg_quality, settings.run)
    window = Window([framer.blank(source.name) for source in settings.sources], config.lossless)
    credits = FifoInbox()
    topics = [f"credit/{source.name}/" for source in settings.sources]
    service.listen([Subscription(config.connect.credit, topics, RESULTS_HWM)], credits.put)
    with Sources(settings.sources) as sources:
        service.registry.register(SourceCollector(sources.statuses))
        delivery = Delivery(service, publisher, framer, window, sources)
        while not service.stop.is_set():
            service.check_health()
            if window.is_done:
                service.stop.wait(TAKE_TIMEOUT)
                continue
            for message in credits.take(CREDITS, 0 if window.has_room else EVERY):
                if isinstance(message.header, Credit):
                    window.credit(message.header)
            delivery.send(window.due())
            if window.has_room:
                delivery.give_next()


class Delivery:
    """Brings what the sources give into the window, and what is due onto the bus."""

    def __init__(
        self,
        service: Service,
        publisher: Publisher,
        framer: Framer,
        window: Window,
        sources: Sources,
    ) -> None:
        self._service = service
        self._publisher = publisher
        self._framer = framer
        self._window = window
        self._sources = sources
        self._ended: set[str] = set()

    def send(self, messages: list[Message]) -> None:
        """Publish the messages."""
        for message in messages:
            taken = message.header.t if message.header.is_data else time.time_ns()
            self._publisher.send(stamped(message, self._service.name, taken))

    def give_next(self) -> None:
        """Give the next picture, if one comes within a moment, and the ends that are due."""
        if taken := self._sources.take(EVERY):
            self._give(*taken)
        for name, status in self._sources.statuses().items():
            over = status.state is State.ENDED and self._framer.given(name) >= status.pictures
            if over and name not in self._ended:
                self._ended.add(name)
                self.send(self._window.add(self._framer.end(name, status.error)))

    def _give(self, stream: str, picture: Picture) -> None:
        seq = self._framer.given(stream)
        message = self._framer.frame(stream, picture)
        if self._window.skips(stream, seq):
            return
        metrics = self._service.metrics
        metrics.taken(stream)
        with metrics.seconds.time():
            self.send(self._window.add(message))
        metrics.given(stream, (time.time_ns() - picture.t) / 1e9)
