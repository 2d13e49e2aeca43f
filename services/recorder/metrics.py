"""The recorder's own metrics."""

from collections.abc import Set

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from emostream.services.recorder.archive.faults import Fault
from emostream.services.recorder.row_buffer import rows_by_table
from emostream.shared.accounts import Accounts
from emostream.shared.join import Joined
from emostream.shared.messages import Emotion, Event, Message
from emostream.shared.metric_names import MetricName
from emostream.shared.metrics import remove_stream, set_switch

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class RecorderMetrics:
    """The recorder's metrics, in the given registry.

    `accounts` are those of its process: an answer that is taken but not written does not count.
    """

    def __init__(self, registry: CollectorRegistry, accounts: Accounts | None = None) -> None:
        self.accounts = accounts or Accounts("recorder")
        self.rows = Counter(
            MetricName.RECORDER_ROWS, "Rows written, by table", ("table",), registry=registry
        )
        self._rows_dropped = Counter(
            "emostream_recorder_rows_dropped",
            "Rows that could not be written in time, by table and reason",
            ("table", "reason"),
            registry=registry,
        )
        self.waiting_rows = Gauge(
            "emostream_recorder_waiting_rows", "Rows waiting to be written", registry=registry
        )
        self._fault = Gauge(
            "emostream_recorder_fault",
            "1 while something cannot be written, by reason",
            ("reason",),
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "emostream_recorder_commit_seconds",
            "Time to commit rows",
            buckets=SECONDS,
            registry=registry,
        )
        self._video_frames = Counter(
            "emostream_recorder_video_frames",
            "Frames written to video, by the results that arrived in time",
            ("stream", "results"),
            registry=registry,
        )
        self._video_frames_dropped = Counter(
            "emostream_recorder_video_frames_dropped",
            "Frames that could not be written to video, by reason",
            ("stream", "reason"),
            registry=registry,
        )
        self.deleted = Counter(
            "emostream_recorder_deleted_files",
            "Video files deleted because of age or total size",
            registry=registry,
        )
        self.stored = Gauge(
            "emostream_recorder_stored_bytes",
            "Size of the recordings, by kind",
            ("kind",),
            registry=registry,
        )
        self.disk = Gauge(
            "emostream_recorder_disk_bytes",
            "Size limit of the recordings, and free space on their disk",
            ("kind",),
            registry=registry,
        )
        self._recording = Gauge(
            MetricName.RECORDER_RECORDING,
            "1 while the stream's video is recorded",
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
        self.tell_faults(set())

    def count_rows(self, result: Emotion | Event) -> None:
        """Count the written rows of a result."""
        for table, rows in rows_by_table(result).items():
            self.rows.labels(table).inc(rows)

    def count_dropped_rows(self, result: Emotion | Event, reason: str) -> None:
        """Count the rows of a result that could not be written."""
        for table, rows in rows_by_table(result).items():
            self._rows_dropped.labels(table, reason).inc(rows)
        self.not_written(result, reason)

    def not_written(self, result: Emotion | Event, reason: str) -> None:
        """Record that a result is permanently lost."""
        if result.is_data:
            self.accounts.note(Message(result), reason)

    def tell_faults(self, faults: Set[Fault]) -> None:
        """Record the fault that prevents writing."""
        for fault in Fault:
            self._fault.labels(fault).set(fault in faults)

    def forget(self, stream: str) -> None:
        """Remove the labels of the stream's video."""
        remove_stream(stream, self._video_frames, self._video_frames_dropped)

    def count_video(self, joined: Joined) -> None:
        """Count a frame that was written to video."""
        self._video_frames.labels(joined.frame.header.stream, joined.completeness).inc()

    def count_dropped_video(self, joined: Joined, reason: str) -> None:
        """Count a frame that could not be written to video."""
        self._video_frames_dropped.labels(joined.frame.header.stream, reason).inc()

    def tell_recording(self, stream: str, on: bool | None) -> None:
        """Set whether the stream's video is recorded; None if the stream is gone."""
        set_switch(self._recording, stream, on)

    def tell_blurred(self, stream: str, on: bool | None) -> None:
        """Set whether faces are blurred in the stream's video; None if the stream is gone."""
        set_switch(self._blurred, stream, on)
