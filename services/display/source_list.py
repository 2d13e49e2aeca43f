"""The sources of all captures that the display watches, in configuration order."""

from collections.abc import Callable

import msgspec

from emostream.services.display.schema import ConfiguredSource
from emostream.shared.metric_names import MetricName
from emostream.shared.metrics_client import MetricsClient
from emostream.shared.scraping import Scraper, json_answer
from emostream.shared.source_report import SOURCES_PATH, SourceReports

Ask = Callable[[str], SourceReports | None]


def ask_sources(url: str, client: MetricsClient) -> SourceReports | None:
    """Return the source report of the capture with metrics at `url`, if it answers."""
    return json_answer(url, SOURCES_PATH, SourceReports, client)


class SourceList:
    """Remembers the sources of each capture, so that they keep their places while it is down."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._by_capture: dict[str, list[ConfiguredSource]] = {}

    def update(self, scraper: Scraper) -> list[ConfiguredSource]:
        """Ask the captures among the processes; return all sources, the first of each name."""
        for url, history in scraper.histories.items():
            if url in scraper.failures:
                self._lose(url, f"capture does not answer: {scraper.failures[url]}")
            elif history.last is not None and "capture" in history.last.stages:
                self._read(url, is_down=history.last.total(MetricName.DOWN, stage="capture") > 0)
        by_stream: dict[str, ConfiguredSource] = {}
        for url in scraper.histories:
            for source in self._by_capture.get(url, []):
                by_stream.setdefault(source.stream, source)
        return list(by_stream.values())

    def _read(self, url: str, *, is_down: bool) -> None:
        reports = None if is_down else self._ask(url)
        if reports is None:
            self._lose(url, "capture is down" if is_down else "capture is starting")
            return
        self._by_capture[url] = [
            ConfiguredSource(report.stream, report.state.value, report.reason)
            for report in reports.sources
        ]

    def _lose(self, url: str, reason: str) -> None:
        self._by_capture[url] = [
            msgspec.structs.replace(source, state="unknown", reason=reason)
            for source in self._by_capture.get(url, [])
        ]
