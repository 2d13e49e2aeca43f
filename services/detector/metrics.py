"""The detector's own metrics."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Info
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from emostream.services.detector.backends import Selection
from emostream.services.detector.extra_looks import REASONS, LookCounts
from emostream.shared.metric_names import MetricName


class DetectorMetrics(Collector):
    """What the detector says of itself; `looks` and `whole_only` are read when it is scraped."""

    def __init__(
        self,
        registry: CollectorRegistry,
        looks: LookCounts,
        whole_only: Callable[[], int] = lambda: 0,
    ) -> None:
        self._detector = Info(
            "emostream_detector", "The detector that finds the faces", registry=registry
        )
        self._looks = looks
        self._whole_only = whole_only
        registry.register(self)

    def set_detector(self, chosen: Selection) -> None:
        """Note which detector runs, and its weights."""
        self._detector.info(chosen.labels)

    def collect(self) -> Iterator[Metric]:
        """Yield the looks by need, each reason and result from 0 on, and the frames without any."""
        family = CounterMetricFamily(
            "emostream_detector_looks",
            "Looks by need, beside those at whole frames and tiles in their turn",
            labels=["reason", "result"],
        )
        for reason in REASONS:
            for had_room, result in ((True, "done"), (False, "skipped")):
                family.add_metric([reason, result], self._looks[reason, had_room])
        yield family
        yield CounterMetricFamily(
            MetricName.DETECTOR_WHOLE_ONLY,
            "Frames searched as a whole alone, for lack of time to look for small faces",
            value=self._whole_only(),
        )
