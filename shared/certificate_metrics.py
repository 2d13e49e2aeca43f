"""The metric for the certificates that a process uses."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from emostream.shared.metric_names import MetricName
from emostream.shared.tls import Certificate


class CertificateCollector(Collector):
    """The expiry of each certificate in use, read at each scrape."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._certificates: dict[str, Certificate] = {}

    def add(self, address: str, certificate: Certificate | None) -> None:
        """Set the certificate of an address, `metrics` or `page`; None if it has none."""
        if certificate:
            self._certificates[address] = certificate

    def collect(self) -> Iterator[Metric]:
        """Yield the expiry of each certificate, in s since the epoch."""
        expiry = GaugeMetricFamily(
            MetricName.CERTIFICATE_EXPIRY,
            "Expiry of the certificate of the stage's HTTP address, in seconds since the epoch",
            labels=("stage", "address"),
        )
        for address, certificate in self._certificates.items():
            expiry.add_metric([self._stage, address], certificate.expires)
        yield expiry
