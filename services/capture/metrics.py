"""The source metrics of capture, read at each scrape."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from emostream.services.capture.source_status import SourceStatus, source_reports
from emostream.shared.metric_names import MetricName
from emostream.shared.service import Service
from emostream.shared.source_report import SOURCES_PATH, SourceState

Statuses: TypeAlias = Callable[[], Mapping[str, SourceStatus]]


def serve_sources(service: Service, statuses: Statuses) -> None:
    """Serve the source metrics and `/sources` on the metrics port.

    `statuses` returns their status by stream name, in configuration order.
    """
    service.registry.register(SourceCollector(statuses))
    service.metrics_server.serve_json(SOURCES_PATH, lambda: source_reports(statuses()))


class SourceCollector(Collector):
    """Collects the status of each source; `statuses` returns them by stream name."""

    def __init__(self, statuses: Statuses) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[Metric]:
        """Yield one metric family per figure, with one sample per stream."""
        up = GaugeMetricFamily("emostream_source_up", "1 while pictures arrive", labels=["stream"])
        ended = GaugeMetricFamily(
            "emostream_source_ended", "1 when all its pictures were published", labels=["stream"]
        )
        reconnects = CounterMetricFamily(
            "emostream_source_reconnects",
            "Number of times that a lost source was reopened",
            labels=["stream"],
        )
        skipped = CounterMetricFamily(
            MetricName.SOURCE_SKIPPED, "Pictures that could not be decoded", labels=["stream"]
        )
        replaced = CounterMetricFamily(
            "emostream_source_replaced",
            "Pictures replaced by newer ones before they were captured",
            labels=["stream"],
        )
        for stream, status in self._statuses().items():
            up.add_metric([stream], status.state is SourceState.OPEN)
            ended.add_metric([stream], status.state is SourceState.ENDED and not status.error)
            reconnects.add_metric([stream], status.reconnects)
            skipped.add_metric([stream], status.skipped)
            replaced.add_metric([stream], status.dropped)
        yield from (up, ended, reconnects, skipped, replaced)
