"""What the metrics page of a process says, and rates and quantiles over several pages."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prometheus_client.parser import text_string_to_metric_families

from emostream.shared import histogram
from emostream.shared.metric_names import MetricName

WINDOW = 10.0
PREFIX = "emostream_"
COUNTERS = ("_total", "_bucket", "_count")
# The suffixes of the sample names of each kind of metric.
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
# Metrics that every stage has.
REQUIRED = (
    *(MetricName.READY, MetricName.QUEUE_DEPTH, MetricName.BAD_MESSAGES, MetricName.FACES),
    *(MetricName.FRAMES_TAKEN, MetricName.FRAMES_GIVEN),
    *(MetricName.FRAMES_DROPPED, MetricName.FRAMES_LOST),
    *(MetricName.FRAMES_KNOWN, MetricName.FRAMES_ACCOUNTED, MetricName.RUN_FRAMES),
    MetricName.FRAMES_LOST_WITH_PROCESS,
    f"{MetricName.LATENCY_SECONDS}_bucket",
)

Labels: TypeAlias = frozenset[tuple[str, str]]
Samples: TypeAlias = dict[str, dict[Labels, float]]


@dataclass(frozen=True)
class Scrape:
    """The metrics of a process at `time` (s, on a steady clock): samples by name and labels.

    A metric without samples has an empty map. Reading a metric that the process does not have
    raises KeyError: a wrong name must not look like a count of 0.
    """

    time: float
    samples: Samples

    @property
    def stages(self) -> set[str]:
        """The stages in the process."""
        return self.values(MetricName.READY, "stage")

    def has(self, name: MetricName) -> bool:
        """Whether the process has a counter or gauge, which depends on its stage and start-up.

        Raises ValueError for a name that no process has.
        """
        return MetricName(name) in self.samples

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with that name and all these labels."""
        wanted = labels.items()
        return sum(v for has, v in self.samples[name].items() if wanted <= has)

    def observed(self, name: MetricName, **labels: str) -> float:
        """Return the sum of all observations of a histogram with all these labels."""
        return self.total(f"{name}_sum", **labels)

    def by(self, name: str, by: Sequence[str], **labels: str) -> dict[tuple[str, ...], float]:
        """Return the samples with all these labels, keyed by the values of the labels in `by`."""
        wanted = labels.items()
        samples = ((dict(has), v) for has, v in self.samples[name].items() if wanted <= has)
        return {tuple(has[label] for label in by): value for has, value in samples}

    def values(self, name: str, label: str, **labels: str) -> set[str]:
        """Return the values of a label in the samples with all these labels."""
        wanted = labels.items()
        matching = [dict(has) for has in self.samples[name] if wanted <= has]
        return {has[label] for has in matching if label in has}


class History:
    """The scrapes of one process over the last `window` seconds, or since its start."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._scrapes: deque[Scrape] = deque()

    @property
    def last(self) -> Scrape | None:
        """The newest scrape."""
        return self._scrapes[-1] if self._scrapes else None

    @property
    def seconds(self) -> float:
        """The time between the oldest and newest scrape."""
        return self._scrapes[-1].time - self._scrapes[0].time if self._scrapes else 0.0

    def add(self, scrape: Scrape) -> None:
        """Add a newer scrape. If counters went down, the process is new, and history is dropped."""
        if self._scrapes and _went_down(self._scrapes[-1], scrape):
            self._scrapes.clear()
        self._scrapes.append(scrape)
        while scrape.time - self._scrapes[0].time > self._window:
            self._scrapes.popleft()

    def increase(self, name: str, **labels: str) -> float:
        """Return the increase of the sum of these counters over `seconds`."""
        first, last = self._scrapes[0], self._scrapes[-1]
        return last.total(name, **labels) - first.total(name, **labels)

    def rate(self, name: MetricName, **labels: str) -> float | None:
        """Return the increase per second; None while unknown.

        It is unknown before the second scrape, and before the process has a sample of the metric.
        """
        if self.seconds <= 0 or not self._scrapes[0].has(name):
            return None
        if not self._scrapes[-1].samples[name]:
            return None
        return self.increase(name, **labels) / self.seconds

    def quantile(self, q: float, name: MetricName, **labels: str) -> float | None:
        """Return the quantile of a histogram's observations over `seconds`; None without any."""
        if not self._scrapes:
            return None
        bucket = f"{name}_bucket"
        bounds = self._scrapes[-1].values(bucket, "le", **labels)
        counts = {float(le): self.increase(bucket, **labels, le=le) for le in bounds}
        return histogram.quantile(q, counts)


def _went_down(before: Scrape, after: Scrape) -> bool:
    return any(
        after.samples.get(name, {}).get(labels, 0.0) < value
        for name, values in before.samples.items()
        if name.endswith(COUNTERS)
        for labels, value in values.items()
    )


def parse(text: str) -> Samples:
    """Return the samples in a stage's metrics page. Raises ValueError for any other page."""
    samples: Samples = {}
    try:
        for family in text_string_to_metric_families(text):
            if not family.name.startswith(PREFIX):
                continue
            for suffix in SUFFIXES.get(family.type, ("",)):
                samples.setdefault(family.name + suffix, {})
            for sample in family.samples:
                labels = frozenset(sample.labels.items())
                samples.setdefault(sample.name, {})[labels] = sample.value
    except (ValueError, IndexError) as error:
        # The parser raises either of these for an invalid page.
        raise ValueError("not a metrics page") from error
    if not samples:
        raise ValueError("no emostream metrics there")
    if missing := [name for name in REQUIRED if name not in samples]:
        raise ValueError(f"not a stage of this version of emostream: it has no {missing[0]}")
    return samples
