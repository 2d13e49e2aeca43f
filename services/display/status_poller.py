"""Polls the stages' metrics once per second, only while they are needed."""

import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Self

import msgspec

from emostream.services.display.pipeline_status import PipelineStatus, pipeline_status
from emostream.services.display.recording_files import recording_files
from emostream.services.display.source_list import SourceList, ask_sources
from emostream.shared.addresses import LOOPBACK
from emostream.shared.config import Config
from emostream.shared.http_urls import metrics_url
from emostream.shared.metrics_client import MetricsClient
from emostream.shared.scraping import Scraper, missing

POLL_INTERVAL_S: Final = 1.0
# For how long polling continues after a program requested the state.
REQUEST_LASTS_S: Final = 10.0


def metrics_urls(config: Config, own: str) -> dict[str, str]:
    """Return the metrics URL of each process in the configuration, with its stage.

    `own` is this display's URL. Ports chosen by the system are unknown. If a stage listens on all
    addresses, an entry in `display.watch` with its port gives its host, which may be another
    container.
    """
    watched = {address.rpartition(":")[2]: address for address in config.display.watch}
    named = {}
    for stage in ("capture", "detector", "classifier", "recorder", "relay"):
        host, _, port = getattr(config, stage).metrics.rpartition(":")
        if port != "0":
            address = watched.get(port) if host in LOOPBACK else None
            named[metrics_url(config, address or f"{host}:{port}")] = stage
    named[own] = "display"
    for address in config.display.watch:
        named.setdefault(metrics_url(config, address), "unknown")
    return named


class StatusPoller:
    """A thread that keeps the `status` of the processes up to date, as a context manager.

    `named` maps the metrics URL of each process to its stage. It polls with `client` while
    `has_viewers` returns True, and for some time after each `request`.
    """

    def __init__(
        self,
        named: Mapping[str, str],
        has_viewers: Callable[[], bool],
        client: MetricsClient | None = None,
    ) -> None:
        self.status = PipelineStatus()
        self._named = named
        self._has_viewers = has_viewers
        self._scraper = Scraper(list(named), client)
        self._source_list = SourceList(functools.partial(ask_sources, client=self._scraper.client))
        self._requested = float("-inf")
        self._wake = threading.Event()
        self._known = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def request(self) -> None:
        """Record that a program requests the state."""
        self._requested = time.monotonic()
        self.wake()

    def wake(self) -> None:
        """Poll immediately if the status is unknown, for a new viewer."""
        if not self._known.is_set():
            self._wake.set()

    def wait(self, timeout: float) -> None:
        """Wait until the status is known, at most `timeout` seconds."""
        self._known.wait(timeout)

    def _missing(self, url: str) -> str:
        return missing(url, self._scraper.client)

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._has_viewers() or time.monotonic() - self._requested < REQUEST_LASTS_S:
                self._scraper.scrape()
                status = pipeline_status(self._named, self._scraper, self._missing)
                self.status = msgspec.structs.replace(
                    status,
                    sources=self._source_list.update(self._scraper),
                    videos=recording_files(self._scraper),
                )
                self._known.set()
            else:
                # Do not show an old status as the current one.
                self._known.clear()
                self.status = PipelineStatus()
            self._wake.wait(POLL_INTERVAL_S)
            self._wake.clear()
