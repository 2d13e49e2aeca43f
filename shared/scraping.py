"""Reads the metrics of many processes at once."""

import errno
import http.client
import time
import urllib.error
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import urljoin

import msgspec

from emostream.shared.metric_samples import History, Scrape, parse
from emostream.shared.metrics_client import MetricsClient

# The time limit for a complete answer, s.
READ_WITHIN_S = 3.0
CHUNK_BYTES = 64 * 1024
# A thousand streams take 4 MB.
MAX_PAGE_BYTES = 64 * 2**20
MAX_JSON_BYTES = 2**20
REFUSED = (401, 429)
WITHOUT_TOKEN = "it requires another token: set security.metrics_token_file"
# Optional stages: it is not a fault if none answers.
OPTIONAL = ("relay",)

T = TypeVar("T")


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
