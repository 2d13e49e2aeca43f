"""The metrics of every stage."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
)
from prometheus_client.metrics import MetricWrapperBase

from emostream.shared.account import LATE, LOST
from emostream.shared.accounts import Accounts
from emostream.shared.certificate_metrics import CertificateCollector
from emostream.shared.clock_metrics import ClockCollector
from emostream.shared.clocks import Clocks
from emostream.shared.messages import Emotion, Faces, Message
from emostream.shared.metric_names import MetricName

SECONDS = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.0175, 0.02, 0.0225, 0.025),
    *(0.03, 0.035, 0.04, 0.045, 0.05, 0.06, 0.07, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5),
    *(1.0, 2.0, 5.0, 10.0),
)

# Reasons for dropping a frame; docs/metrics.md explains each.
BACKLOG = "backlog"
STALE = "stale"
REASONS = (BACKLOG, STALE, LATE, "bad")


class StageMetrics:
    """The metrics common to all stages, in the given registry."""

    def __init__(self, stage: str, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.accounts = Accounts(stage)
        registry.register(self.accounts)
        self.clocks = Clocks()
        registry.register(ClockCollector(stage, self.clocks))
        self.certificates = CertificateCollector(stage)
        registry.register(self.certificates)
        ProcessCollector(registry=registry)
        self._stage = stage
        by_stream = ("stage", "stream")

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ("stage",), registry=registry).labels(stage)

        def seconds(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=SECONDS, registry=registry)

        self._taken = counter(MetricName.FRAMES_TAKEN, "Frames accepted for processing", *by_stream)
        self._given = counter(MetricName.FRAMES_GIVEN, "Frames answered or shown", *by_stream)
        text = "Frames that arrived but were not processed"
        self._dropped = counter(MetricName.FRAMES_DROPPED, text, *by_stream, "reason")
        self._lost = counter(
            MetricName.FRAMES_LOST, "Frames that never arrived", *by_stream, "topic"
        )
        text = "Messages that violate the wire format"
        self._bad = counter(MetricName.BAD_MESSAGES, text, "stage", "reason")
        text = "Answers and events that another classifier had already published"
        self._duplicates = counter(MetricName.DUPLICATE_ANSWERS, text, *by_stream, "topic")
        text = "Frames received through shared memory"
        self._local = counter(MetricName.LOCAL_FRAMES, text, "stage")
        self._faces = counter(MetricName.FACES, "Faces published by the stage", *by_stream)
        text = "Encrypted connections that failed: no key, or an unknown or revoked one"
        self._handshakes = counter(MetricName.HANDSHAKE_FAILURES, text, "stage", "socket")
        text = "Wrong tokens that clients of the stage's HTTP addresses presented"
        self._wrong_tokens = counter(MetricName.WRONG_TOKENS, text, "stage", "address")
        text = "Time from capture to the end of this stage's work"
        self._latency = seconds(MetricName.LATENCY_SECONDS, text, *by_stream)
        text = "Time of one step of the stage"
        self._by_stream = (
            *(self._taken, self._given, self._dropped, self._lost, self._duplicates),
            *(self._faces, self._latency),
        )
        self.seconds = seconds(MetricName.STAGE_SECONDS, text, "stage").labels(stage)
        self.queue_depth = gauge(MetricName.QUEUE_DEPTH, "Messages waiting in the inbox")
        self.ready = gauge(MetricName.READY, "1 when the stage is ready")
        text = "1 while the stage is down and its supervisor answers for it"
        self.down = gauge(MetricName.DOWN, text)

    def local_frame_counter(self) -> Callable[[], None]:
        """Return a function that counts a frame that came through shared memory."""
        return self._local.labels(self._stage).inc

    def handshakes_failed(self, socket: str, count: int) -> None:
        """Count failed handshakes of the socket with this endpoint."""
        self._handshakes.labels(self._stage, socket).inc(count)

    def wrong_token_counter(self, address: str) -> Callable[[], None]:
        """Return a function that counts wrong tokens at `address`: `metrics` or `page`."""
        # Start at 0: Prometheus sees no increase in a counter that starts at 1.
        return self._wrong_tokens.labels(self._stage, address).inc

    def taken(self, stream: str) -> None:
        """Count a frame that the stage accepted."""
        self._taken.labels(self._stage, stream).inc()

    def given(self, stream: str, latency: float | None) -> None:
        """Count a frame that the stage answered, `latency` s after its capture (None: unknown)."""
        self._given.labels(self._stage, stream).inc()
        latencies = self._latency.labels(self._stage, stream)
        if latency is not None:
            latencies.observe(latency)

    def faces(self, message: Message) -> None:
        """Count the faces of a message that the stage sends, if it has faces."""
        if isinstance(message.header, Faces | Emotion):
            self._faces.labels(self._stage, message.header.stream).inc(len(message.header.faces))

    def dropped(self, message: Message, reason: str) -> None:
        """Count a dropped frame."""
        self._dropped.labels(self._stage, message.header.stream, reason).inc()
        self.accounts.note(message, reason)

    def duplicate(self, message: Message) -> None:
        """Count an answer or event that another publisher had already sent."""
        topic = message.topic.partition("/")[0]
        self._duplicates.labels(self._stage, message.header.stream, topic).inc()

    def left_out(self, message: Message, count: int, reason: str) -> None:
        """Count frames before the message that were not requested; they would be dropped."""
        self._dropped.labels(self._stage, message.header.stream, reason).inc(count)
        self.accounts.note(message, reason, count, before=True)

    def late(self, message: Message, count: int) -> None:
        """Count the frames, possibly none, that were sent before this process listened.

        This also starts every other reason at 0: Prometheus sees no increase in a counter that
        starts with its first drop.
        """
        for reason in REASONS:
            self._dropped.labels(self._stage, message.header.stream, reason)
        self._dropped.labels(self._stage, message.header.stream, LATE).inc(count)
        self.accounts.note(message, LATE, count, before=True)

    def lost(self, message: Message, count: int) -> None:
        """Count frames that were sent but never arrived."""
        topic = message.topic.partition("/")[0]
        self._lost.labels(self._stage, message.header.stream, topic).inc(count)
        self.accounts.note(message, LOST, count, before=True)

    def forget(self, stream: str) -> None:
        """Remove the stream's labels."""
        remove_stream(stream, *self._by_stream)

    def bad(self, reason: str) -> None:
        """Count a message that violates the wire format."""
        self._bad.labels(self._stage, reason).inc()


def remove_stream(stream: str, *metrics: MetricWrapperBase) -> None:
    """Remove a stream's labels from metrics with a label `stream`."""
    for metric in metrics:
        metric.remove_by_labels({"stream": stream})


def set_switch(metric: Gauge, stream: str, on: bool | None) -> None:
    """Set a stream's gauge to 1 or 0, or remove the stream's label from it."""
    if on is None:
        remove_stream(stream, metric)
    else:
        metric.labels(stream).set(on)
