"""The recorder's own metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from emostream.shared.join import Joined
from emostream.shared.messages import Emotion
from emostream.shared.metric_names import MetricName

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class RecorderMetrics:
    """What the recorder counts, written to the registry that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows = Counter(
            MetricName.RECORDER_ROWS, "Rows written, by table", ("table",), registry=registry
        )
        self.commit_seconds = Histogram(
            "emostream_recorder_commit_seconds",
            "Time that a commit of the rows takes",
            buckets=SECONDS,
            registry=registry,
        )
        self._video_frames = Counter(
            "emostream_recorder_video_frames",
            "Frames written to video, by the results that came for them in time",
            ("stream", "results"),
            registry=registry,
        )
        self.deleted = Counter(
            "emostream_recorder_deleted_files",
            "Video files deleted because of their age or the total size",
            registry=registry,
        )
        self.stored = Gauge(
            "emostream_recorder_stored_bytes",
            "What the recordings take, by kind",
            ("kind",),
            registry=registry,
        )
        self.disk = Gauge(
            "emostream_recorder_disk_bytes",
            "What the recordings may take in all, and what is free on their disk",
            ("kind",),
            registry=registry,
        )
        self._recording = Gauge(
            MetricName.RECORDER_RECORDING,
            "1 while the stream's video is kept",
            ("stream",),
            registry=registry,
        )
        self._blurred = Gauge(
            MetricName.RECORDER_BLURRED,
            "1 while faces are blurred in the stream's video",
            ("stream",),
            registry=registry,
        )
        for table in ("frames", "observations", "events"):
            self.rows.labels(table)
        for kind in ("video", "database"):
            self.stored.labels(kind)

    def count_answer(self, header: Emotion) -> None:
        """Count the rows of an answer."""
        self.rows.labels("frames").inc()
        self.rows.labels("observations").inc(len(header.faces))

    def count_video(self, joined: Joined) -> None:
        """Count a frame that was written to video."""
        self._video_frames.labels(joined.frame.header.stream, joined.completeness).inc()

    def tell_recording(self, stream: str, on: bool) -> None:
        """Note whether the stream's video is kept."""
        self._recording.labels(stream).set(on)

    def tell_blurred(self, stream: str, on: bool) -> None:
        """Note whether faces are blurred in the stream's video."""
        self._blurred.labels(stream).set(on)
