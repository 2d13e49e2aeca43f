"""The classifier's own metrics."""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, Info

from shared.messages import Emotion, Event

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ClassifierMetrics:
    """What the classifier counts, written to the registry that is passed in."""

    def __init__(
        self, registry: CollectorRegistry, model: str, sha256: str, labels: Sequence[str]
    ) -> None:
        info = Info("emostream_model", "The model that answers", registry=registry)
        info.info({"model": model, "sha256": sha256})
        self.batch_size = Histogram(
            "emostream_batch_size",
            "Faces in one call of the model",
            buckets=BATCH_SIZES,
            registry=registry,
        )
        self._emotions = Counter(
            "emostream_emotions", "Faces by the label shown", ("label",), registry=registry
        )
        self._events = Counter("emostream_events", "Events given", ("kind",), registry=registry)
        self._degraded = Counter(
            "emostream_degraded",
            "Frames answered without their faces because the model failed",
            ("stream",),
            registry=registry,
        )
        for label in labels:
            self._emotions.labels(label)
        for kind in ("enter", "change", "leave"):
            self._events.labels(kind)

    def count(self, events: Iterable[Event], emotion: Emotion) -> None:
        """Count what a frame was answered with."""
        for face in emotion.faces:
            self._emotions.labels(face.label).inc()
        for event in events:
            self._events.labels(event.kind).inc()
        if emotion.degraded:
            self._degraded.labels(emotion.stream).inc()
