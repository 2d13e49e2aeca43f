"""The display's own metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from emostream.shared.join import Joined
from emostream.shared.metrics import remove_stream, set_switch

SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)


class DisplayMetrics:
    """The display's metrics, in the given registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shown = Counter(
            "emostream_display_frames",
            "Frames ready to be shown, by the results that arrived in time",
            ("stream", "results"),
            registry=registry,
        )
        self.encode_seconds = Histogram(
            "emostream_display_encode_seconds",
            "Time to encode a picture once for all viewers",
            buckets=SECONDS,
            registry=registry,
        )
        self.viewers = Gauge(
            "emostream_display_viewers", "Browsers that are viewing the page", registry=registry
        )
        self._skipped = Counter(
            "emostream_display_skipped_pictures",
            "Pictures not sent because a viewer was too slow",
            ("stream",),
            registry=registry,
        )

        self._blurred = Gauge(
            "emostream_display_blurred",
            "1 while faces are blurred in the stream's pictures",
            ("stream",),
            registry=registry,
        )

    def set_blurred(self, stream: str, on: bool | None) -> None:
        """Set whether faces are blurred in the stream's pictures; None if the stream is gone."""
        set_switch(self._blurred, stream, on)

    def count_frame(self, joined: Joined) -> None:
        """Count a frame that is shown."""
        self._shown.labels(joined.frame.header.stream, joined.completeness).inc()

    def forget(self, stream: str) -> None:
        """Remove the labels of the stream's pictures."""
        remove_stream(stream, self._shown, self._skipped)

    def count_skipped(self, stream: str) -> None:
        """Count a picture that was not sent to one viewer."""
        self._skipped.labels(stream).inc()
