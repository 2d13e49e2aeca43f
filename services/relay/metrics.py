"""The relay's own metrics."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from emostream.shared.bus import Passed
from emostream.shared.messages import KINDS
from emostream.shared.metric_names import MetricName
from emostream.shared.requests import answered_topic

# A source may send any topic, and each label takes memory.
OTHER: Final = "other"
COUNTED: Final = (*KINDS, "clock")


class RelayMetrics:
    """The relay's metrics, by source endpoint and first part of the topic."""

    def __init__(self, registry: CollectorRegistry, sources: Iterable[str]) -> None:
        by_source = ("source", "topic")
        text = "Messages passed on"
        self._messages = Counter(MetricName.RELAY_MESSAGES, text, by_source, registry=registry)
        text = "Bytes passed on, headers and payloads"
        self._bytes = Counter(MetricName.RELAY_BYTES, text, by_source, registry=registry)
        text = "1 while the source is connected"
        self._connected = Gauge(MetricName.RELAY_CONNECTED, text, ["source"], registry=registry)
        text = "Subscriptions that the relay has at each source"
        self.subscriptions = Gauge("emostream_relay_subscriptions", text, registry=registry)
        for source in sources:
            self.set_connected(source, is_connected=False)

    def set_connected(self, source: str, *, is_connected: bool) -> None:
        """Set whether a source is connected."""
        self._connected.labels(source).set(is_connected)

    def count(self, passed: Passed) -> None:
        """Count a forwarded message."""
        word = answered_topic(passed.topic.encode()).decode().partition("/")[0]
        labels = (passed.source, word if word in COUNTED else OTHER)
        self._messages.labels(*labels).inc()
        self._bytes.labels(*labels).inc(passed.size)
