"""Reads the metrics of many processes at once, and computes rates over some seconds."""

import errno
import http.client
import time
import urllib.error
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias, TypeVar
from urllib.parse import urljoin

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from emostream.shared import histogram
from emostream.shared.metric_names import MetricName
from emostream.shared.metrics_client import MetricsClient

# The time limit for a complete answer, s.
READ_WITHIN_S = 3.0
CHUNK_BYTES = 64 * 1024
# A thousand streams take 4 MB.
MAX_PAGE_BYTES = 64 * 2**20
MAX_JSON_BYTES = 2**20
WINDOW = 10.0
REFUSED = (401, 429)
WITHOUT_TOKEN = "it requires another token: set security.metrics_token_file"
PREFIX = "emostream_"
# Optional stages: it is not a fault if none answers.
OPTIONAL = ("relay",)
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


T = TypeVar("T")
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


def scrape(url: str, client: MetricsClient | None = None) -> Scrape | str:
    """Return a scrape of the process, or the reason for failure, within a few seconds.

    `client` sends the request; by default, one with the default configuration.
    """
    client = client or MetricsClient()
    try:
        with client.open(url) as answer:
            page = _body(answer, MAX_PAGE_BYTES).decode("utf-8", "replace")
            return Scrape(time.monotonic(), parse(page))
    except urllib.error.HTTPError as error:
        with error:
            return WITHOUT_TOKEN if error.code in REFUSED else str(error)
    except OSError as error:
        # urllib wraps the cause, whose message is shorter.
        reason = getattr(error, "reason", error)
        told = getattr(reason, "verify_message", None) or getattr(reason, "strerror", None)
        return told or str(reason)
    except (http.client.HTTPException, ValueError) as error:
        return str(error) or type(error).__name__


def _body(answer: http.client.HTTPResponse, most: int) -> bytes:
    """Return the body of an answer, at most `most` bytes, within `READ_WITHIN_S` seconds.

    Raises ValueError, OSError or HTTPException.
    """
    parts, size, until = [], 0, time.monotonic() + READ_WITHIN_S
    while part := answer.read1(CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > most:
            raise ValueError(f"its answer is longer than {most // 2**20} MiB")
        if time.monotonic() > until:
            raise TimeoutError(errno.ETIMEDOUT, "its answer arrives too slowly")
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    return b"".join(parts)


def missing(url: str, client: MetricsClient | None = None) -> str:
    """Return why the process with metrics at `url` is not ready; "" if it gives no reason.

    Waits at most a few seconds.
    """
    readiness = json_answer(url, "/readyz", _Readiness, client)
    return "; ".join(readiness.missing.values()) if readiness else ""


def json_answer(
    url: str, path: str, type: type[T], client: MetricsClient | None = None
) -> T | None:
    """Return the JSON at `path` from the process with metrics at `url`; None if there is none.

    Waits at most a few seconds.
    """
    client = client or MetricsClient()
    try:
        with client.open(urljoin(url, path), any_status=True) as answer:
            body = _body(answer, MAX_JSON_BYTES)
        return msgspec.json.decode(body, type=type)
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return None


class _Readiness(msgspec.Struct):
    """The answer of `/readyz`; without the token, it does not list what is missing."""

    missing: dict[str, str] = {}


class Scraper:
    """Reads the metrics of all processes in parallel, so that a dead host delays no other."""

    def __init__(self, urls: Sequence[str], client: MetricsClient | None = None) -> None:
        self.client = client or MetricsClient()
        self._urls = list(dict.fromkeys(urls))
        self._pool = ThreadPoolExecutor(max(1, len(self._urls)), "scrape")
        self.histories = {url: History() for url in self._urls}
        self.failures: Mapping[str, str] = {}

    def scrape(self) -> None:
        """Read all once. Afterward, `failures` maps each URL without an answer to the reason."""
        answers = zip(self._urls, self._pool.map(self._scrape, self._urls), strict=True)
        failures: dict[str, str] = {}
        for url, answer in answers:
            if isinstance(answer, Scrape):
                self.histories[url].add(answer)
            else:
                failures[url] = answer
        self.failures = failures

    def _scrape(self, url: str) -> Scrape | str:
        return scrape(url, self.client)

    def present(self, named: Mapping[str, str]) -> dict[str, str]:
        """Return the processes in `named` (by URL), except optional stages that were never seen."""
        return {
            url: name
            for url, name in named.items()
            if name not in OPTIONAL or self.histories[url].last is not None
        }

    def answering(self) -> list[Scrape]:
        """Return the latest scrape of each process that answered last time."""
        newest = (h.last for url, h in self.histories.items() if url not in self.failures)
        return [scrape for scrape in newest if scrape is not None]
