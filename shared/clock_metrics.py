"""The metrics for the clocks of a process's publishers."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from emostream.shared.clocks import Clocks
from emostream.shared.metric_names import MetricName


class ClockCollector(Collector):
    """The clock offsets that a stage measured, read at each scrape."""

    def __init__(self, stage: str, clocks: Clocks) -> None:
        self._stage = stage
        self._clocks = clocks

    def collect(self) -> Iterator[Metric]:
        """Yield the offset of each measured clock, and its uncertainty."""
        labels = ["stage", "source", "publisher"]
        text = "Offset to add to a publisher's times to convert them to this process's clock"
        offset = GaugeMetricFamily(MetricName.CLOCK_OFFSET, text, labels=labels)
        text = "Uncertainty of the offset: half the shortest round trip"
        uncertainty = GaugeMetricFamily(MetricName.CLOCK_UNCERTAINTY, text, labels=labels)
        for source, publisher, measured in self._clocks.measured():
            if not source:
                continue
            offset.add_metric([self._stage, source, publisher], measured.ns / 1e9)
            uncertainty.add_metric([self._stage, source, publisher], measured.uncertainty / 1e9)
        yield offset
        yield uncertainty
