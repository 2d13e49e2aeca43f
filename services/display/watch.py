"""Reading the stages' metrics once a second, and only while somebody looks."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Self

from emostream.services.display.reports import Report, report
from emostream.shared.config import Config
from emostream.shared.scraping import Scraper, missing

INTERVAL: Final = 1.0
# For so long after a program asked for the state, it counts as one that looks.
ASKED_WITHIN: Final = 10.0


def metrics_urls(config: Config, own: str) -> dict[str, str]:
    """Return the URL of the metrics of each process that the configuration names, with its stage.

    `own` is this display's. A port that a stage chooses itself is not known.
    """
    named = {}
    for stage in ("capture", "detector", "classifier", "recorder"):
        address = getattr(config, stage).metrics
        if not address.endswith(":0"):
            named[f"http://{address}/metrics"] = stage
    named[own] = "display"
    for address in config.display.watch:
        named.setdefault(f"http://{address}/metrics", "unknown")
    return named


class Watch:
    """A thread that keeps a `report` on the processes while its context lasts.

    `named` maps the URL of each process' metrics to its stage. `is_watched` tells whether somebody
    looks, beside programs that `ask`.
    """

    def __init__(self, named: Mapping[str, str], is_watched: Callable[[], bool]) -> None:
        self.report = Report()
        self._named = named
        self._is_watched = is_watched
        self._scraper = Scraper(list(named))
        self._asked = float("-inf")
        self._wake = threading.Event()
        self._known = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def ask(self) -> None:
        """Note that a program asks for the state."""
        self._asked = time.monotonic()
        if not self._known.is_set():
            self._wake.set()

    def wait(self, timeout: float) -> None:
        """Wait up to so many seconds until the stages were asked."""
        self._known.wait(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._is_watched() or time.monotonic() - self._asked < ASKED_WITHIN:
                self._scraper.scrape()
                self.report = report(self._named, self._scraper, missing)
                self._known.set()
            else:
                # What was true then must not be shown as what is.
                self._known.clear()
                self.report = Report()
            self._wake.wait(INTERVAL)
            self._wake.clear()
