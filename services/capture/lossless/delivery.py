"""The capture's loop for lossless delivery of files."""

import time
from typing import Final

from emostream.services.capture.framer import Framer
from emostream.services.capture.lossless.credit_window import REPEAT_INTERVAL, CreditWindow
from emostream.services.capture.metrics import serve_sources
from emostream.services.capture.picture import Picture
from emostream.services.capture.source_set import SourceSet
from emostream.services.capture.source_url import recorded_streams
from emostream.shared.bus import RESULTS_HWM, Publisher, Subscription
from emostream.shared.config import Config
from emostream.shared.errors import MessageError
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Credit, Message, stamped
from emostream.shared.service import Service
from emostream.shared.source_report import SourceState
from emostream.shared.work_loop import TAKE_TIMEOUT

MAX_CREDITS: Final = 64  # taken in one step of the loop


def deliver_all(config: Config, service: Service, publisher: Publisher) -> None:
    """Publish every picture of the sources, in order, then wait until stopped.

    A source that fails ends its stream, with the reason. Raises DeliveryError if a downstream stage
    hangs or is gone.
    """
    settings = config.capture
    recorded = recorded_streams(settings.sources)
    megabytes = config.live.max_message_mb
    framer = Framer(settings.encoding, settings.jpeg_quality, settings.run, recorded, megabytes)
    templates = [framer.template(source.name) for source in settings.sources]
    window = CreditWindow(templates, config.lossless)
    credits = FifoInbox()
    topics = [f"credit/{source.name}/" for source in settings.sources]
    service.listen([Subscription(config.connect.credit, topics, RESULTS_HWM)], credits.put)
    with SourceSet(settings.sources, planar=settings.encoding == "i420") as sources:
        serve_sources(service, sources.statuses)
        delivery = Delivery(service, publisher, framer, window, sources)
        while not service.stop.is_set():
            service.check_health()
            if window.is_done:
                service.stop.wait(TAKE_TIMEOUT)
                continue
            for message in credits.take(MAX_CREDITS, 0 if window.has_room else REPEAT_INTERVAL):
                if isinstance(message.header, Credit):
                    _record(window, message.header, service)
            delivery.publish(window.due())
            if window.has_room:
                delivery.publish_next()


def _record(window: CreditWindow, header: Credit, service: Service) -> None:
    try:
        window.record_credit(header)
    except MessageError as error:
        service.bad_message(error)


class Delivery:
    """Moves pictures from the sources to the window, and due messages to the bus."""

    def __init__(
        self,
        service: Service,
        publisher: Publisher,
        framer: Framer,
        window: CreditWindow,
        sources: SourceSet,
    ) -> None:
        self._service = service
        self._publisher = publisher
        self._framer = framer
        self._window = window
        self._sources = sources
        self._ended: set[str] = set()

    def publish(self, messages: list[Message]) -> None:
        """Publish the messages."""
        for message in messages:
            taken = message.header.t if message.header.is_data else time.time_ns()
            self._publisher.send(stamped(message, self._service.name, taken))

    def publish_next(self) -> None:
        """Publish the next picture if one arrives within a moment, and due ends."""
        if taken := self._sources.take(REPEAT_INTERVAL):
            self._publish_picture(*taken)
        for name, status in self._sources.statuses().items():
            over = status.state is SourceState.ENDED and self._framer.count(name) >= status.pictures
            if over and name not in self._ended:
                self._ended.add(name)
                self.publish(self._window.add(self._framer.end(name, status.error)))

    def _publish_picture(self, stream: str, picture: Picture) -> None:
        seq = self._framer.count(stream)
        message = self._framer.frame(stream, picture)
        if self._window.is_written(stream, seq):
            return
        metrics = self._service.metrics
        metrics.taken(stream)
        with metrics.seconds.time():
            self.publish(self._window.add(message))
        metrics.accounts.captured(message.header)
        metrics.given(stream, (time.time_ns() - picture.t) / 1e9)
