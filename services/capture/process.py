"""The capture's process."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import cv2

from emostream.services.capture.flow_control import FlowControl
from emostream.services.capture.framer import Framer
from emostream.services.capture.lossless.delivery import deliver_all
from emostream.services.capture.metrics import serve_sources
from emostream.services.capture.picture import Picture
from emostream.services.capture.source_set import SourceSet
from emostream.services.capture.source_status import SourceStatus
from emostream.services.capture.source_url import recorded_streams
from emostream.shared.bus import RESULTS_HWM, Publisher, Subscription, frames_hwm
from emostream.shared.config import Config
from emostream.shared.messages import Frame, Message, stamped
from emostream.shared.optional_groups import require
from emostream.shared.quiet import QuietTimer
from emostream.shared.service import Service
from emostream.shared.source_report import SourceState
from emostream.shared.work_loop import TAKE_TIMEOUT

# Seconds after which a stream without a picture is quiet.
QUIET_AFTER_S = 0.5
END_REPEATS = 5
# Seconds; how often flow control is checked while it holds back a stream.
BLOCKED_TIMEOUT = 0.002


def run(config: Config, instance: int) -> None:
    """Publish the pictures of all sources until stopped; after their end, keep reporting it."""
    settings = config.capture
    fast = {source.name for source in settings.sources if source.pace == "fast"}
    # Otherwise only the first picture of a file or stream would fail for lack of it.
    require("emostream capture", "capture", "av")
    cv2.setNumThreads(1)
    with Service("capture", config, settings.metrics, Frame, instance) as service:
        hwm = frames_hwm(len(settings.sources))
        publisher = service.publisher(settings.bind, hwm, has_frames=True)
        if config.delivery == "lossless":
            deliver_all(config, service, publisher)
            return
        recorded = recorded_streams(settings.sources)
        framer = Framer(
            settings.encoding,
            settings.jpeg_quality,
            recorded=recorded,
            max_megabytes=config.live.max_message_mb,
        )
        flow_control = FlowControl(framer.run, config.live.backlog)
        if fast:
            answers = Subscription(
                config.connect.emotion, [f"emotion/{name}/" for name in fast], RESULTS_HWM
            )
            service.listen([answers], flow_control.record_answer)
        with SourceSet(settings.sources, planar=settings.encoding == "i420") as sources:
            serve_sources(service, sources.statuses)
            ends, quiet = StreamEnds(framer), QuietTimer[str, str](QUIET_AFTER_S)
            while not service.stop.is_set():
                statuses = sources.statuses()
                _report_health(service, statuses)
                blocked = {name for name in fast if flow_control.must_wait(name)}
                taken = sources.take(BLOCKED_TIMEOUT if blocked else TAKE_TIMEOUT, blocked)
                if taken:
                    flow_control.record_published(taken[0], framer.count(taken[0]))
                    _publish(service, publisher, framer, *taken)
                    quiet.set(taken[0], taken[0])
                elif sources.finished:
                    # Nothing more will arrive, so `take` does not wait.
                    service.stop.wait(TAKE_TIMEOUT)
                sums = [ends.again(name) or framer.sum(name) for name in quiet.take()]
                _publish_without_frame(service, publisher, [*ends.due(statuses), *sums])
            _publish_without_frame(service, publisher, ends.lost(sources.statuses()))


def _publish(
    service: Service, publisher: Publisher, framer: Framer, stream: str, picture: Picture
) -> None:
    service.metrics.taken(stream)
    with service.metrics.seconds.time():
        message = framer.frame(stream, picture)
        publisher.send(stamped(message, service.name, picture.t))
    service.metrics.accounts.captured(message.header)
    service.metrics.given(stream, (time.time_ns() - picture.t) / 1e9)


def _report_health(service: Service, statuses: Mapping[str, SourceStatus]) -> None:
    for name, status in statuses.items():
        if status.ready:
            service.health.clear_missing(name)
        else:
            service.health.set_missing(name, f"{name} is {status}")
    service.check_health()


def _publish_without_frame(
    service: Service, publisher: Publisher, messages: Iterable[Message]
) -> None:
    for message in messages:
        publisher.send(stamped(message, service.name, time.time_ns()))


class StreamEnds:
    """Creates the message that ends each stream, with the reason if it failed."""

    def __init__(self, framer: Framer) -> None:
        self._framer = framer
        self._ended: dict[str, Message] = {}
        self._repeated: Counter[str] = Counter()

    def again(self, name: str) -> Message | None:
        """Return the message that ended the stream a few more times, in case it was lost."""
        if name not in self._ended:
            return None
        self._repeated[name] += 1
        return self._ended[name] if self._repeated[name] <= END_REPEATS else None

    def due(self, statuses: Mapping[str, SourceStatus]) -> Iterator[Message]:
        """Yield the ends of the streams that ended and whose pictures were all published."""
        for name, status in statuses.items():
            all_published = self._framer.count(name) >= status.pictures - status.dropped
            if status.state is SourceState.ENDED and all_published:
                yield from self._end(name, status.error)

    def lost(self, statuses: Mapping[str, SourceStatus]) -> Iterator[Message]:
        """Yield the ends of the streams whose source is lost when capture stops."""
        for name, status in statuses.items():
            if status.state is SourceState.LOST and self._framer.count(name):
                yield from self._end(name, status.error)

    def _end(self, name: str, error: str) -> Iterator[Message]:
        if name not in self._ended:
            self._ended[name] = self._framer.end(name, error)
            yield self._ended[name]
