"""The detector's own metrics."""

from prometheus_client import CollectorRegistry, Info

from emostream.services.detector.backends import Selection


class DetectorMetrics:
    """What the detector says of itself, written to the registry that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._detector = Info(
            "emostream_detector", "The detector that finds the faces", registry=registry
        )

    def set_detector(self, chosen: Selection) -> None:
        """Note which detector runs, and its weights."""
        self._detector.info(chosen.labels)
