"""The classifier's own metrics."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from emostream.services.classifier.batching import Model
from emostream.shared.left_out import REASONS
from emostream.shared.messages import Emotion, Event
from emostream.shared.metric_names import MetricName
from emostream.shared.metrics import remove_stream

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class ClassifierMetrics:
    """The classifier's metrics, in the given registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._model = Info("emostream_model", "The model in use", registry=registry)
        self.swaps = Counter(
            "emostream_model_swaps",
            "Attempts to replace the model while running, by result",
            ("result",),
            registry=registry,
        )
        self.batch_size = Histogram(
            "emostream_batch_size",
            "Faces per call of the model",
            buckets=BATCH_SIZES,
            registry=registry,
        )
        self._emotions = Counter(
            "emostream_emotions", "Faces by displayed label", ("label",), registry=registry
        )
        self._confidence = Histogram(
            "emostream_confidence",
            "Confidence of the displayed label, per face and frame",
            ("stream", "label"),
            buckets=CONFIDENCES,
            registry=registry,
        )
        self._events = Counter("emostream_events", "Events published", ("kind",), registry=registry)
        self._degraded = Counter(
            "emostream_degraded",
            "Frames answered without faces because the model failed",
            ("stream",),
            registry=registry,
        )
        self._left_out = Counter(
            MetricName.FACES_LEFT_OUT,
            "Faces left out, by reason: their quality, or a track that is too new",
            ("stream", "reason"),
            registry=registry,
        )
        self.standby = Gauge(
            MetricName.CLASSIFIER_STANDBY, "1 if this classifier is a standby", registry=registry
        )
        self._standby_answers = Gauge(
            "emostream_standby_answers",
            "1 while this standby answers instead of the active classifier",
            ("stream", "part"),
            registry=registry,
        )
        self._takeovers = Counter(
            "emostream_takeovers",
            "Number of times that this standby took over",
            ("stream", "part"),
            registry=registry,
        )
        for kind in ("enter", "change", "leave"):
            self._events.labels(kind)
        for result in ("swapped", "refused"):
            self.swaps.labels(result)

    def set_model(self, model: Model) -> None:
        """Set the model in use."""
        facts = {"model": model.name, "sha256": model.sha256}
        self._model.info({**facts, "engine": model.engine, "device": model.device})
        for label in model.labels:
            self._emotions.labels(label)

    def count(self, events: Iterable[Event], emotion: Emotion) -> None:
        """Count the content of an answer."""
        for label in emotion.faces[0].smoothed if emotion.faces else ():
            # Start at 0 before the first face: Prometheus would not see that increase.
            self._confidence.labels(emotion.stream, label)
        if emotion.is_data:
            for reason in REASONS:
                self._left_out.labels(emotion.stream, reason)
        for face in emotion.faces:
            if face.left_out:
                self._left_out.labels(emotion.stream, face.left_out).inc()
                continue
            self._emotions.labels(face.label).inc()
            self._confidence.labels(emotion.stream, face.label).observe(face.confidence)
        self.count_events(events)
        self._degraded.labels(emotion.stream).inc(emotion.degraded)

    def forget(self, stream: str) -> None:
        """Remove the stream's labels."""
        remove_stream(stream, self._confidence, self._degraded, self._left_out)
        remove_stream(stream, self._standby_answers, self._takeovers)

    def standby_answers(self, stream: str, part: int, *, on: bool) -> None:
        """Record that this standby now answers a part instead of the active one, or no longer."""
        self._standby_answers.labels(stream, part).set(on)
        self._takeovers.labels(stream, part).inc(on)

    def count_events(self, events: Iterable[Event]) -> None:
        """Count events."""
        for event in events:
            self._events.labels(event.kind).inc()
