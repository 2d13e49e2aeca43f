"""The detector's own metrics."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Info
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from emostream.services.detector.backends import Selection
from emostream.services.detector.extra_looks import REASONS, LookCounts
from emostream.shared.metric_names import MetricName


class DetectorMetrics(Collector):
    """The detector's metrics; its counts are read at each scrape."""

    def __init__(
        self,
        registry: CollectorRegistry,
        looks: LookCounts,
        whole_only: Callable[[], int] = lambda: 0,
        windows_only: Callable[[], int] = lambda: 0,
    ) -> None:
        self._detector = Info("emostream_detector", "The face detector in use", registry=registry)
        self._looks = looks
        self._whole_only = whole_only
        self._windows_only = windows_only
        registry.register(self)

    def set_detector(self, chosen: Selection) -> None:
        """Set the detector and its weights."""
        self._detector.info(chosen.labels)

    def collect(self) -> Iterator[Metric]:
        """Yield the extra looks by reason and result, from 0 on, and the frames without them."""
        family = CounterMetricFamily(
            "emostream_detector_looks",
            "Extra looks, in addition to whole frames and tiles",
            labels=["reason", "result"],
        )
        for reason in REASONS:
            for had_room, result in ((True, "done"), (False, "skipped")):
                family.add_metric([reason, result], self._looks[reason, had_room])
        yield family
        yield CounterMetricFamily(
            MetricName.DETECTOR_WHOLE_ONLY,
            "Frames without a search for small faces, for lack of time",
            value=self._whole_only(),
        )
        yield CounterMetricFamily(
            "emostream_detector_windows_only_frames",
            "Frames searched only where the faces of the frame before should be",
            value=self._windows_only(),
        )
