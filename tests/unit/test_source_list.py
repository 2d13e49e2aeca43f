"""The sources of the captures that a display watches: their order, and what is known of them."""

from prometheus_client import CollectorRegistry, generate_latest

from emostream.services.display.schema import ConfiguredSource
from emostream.services.display.source_list import SourceList
from emostream.shared.metric_samples import Scrape, parse
from emostream.shared.metrics import StageMetrics
from emostream.shared.scraping import Scraper
from emostream.shared.source_report import SourceReport, SourceReports, SourceState

FIRST, SECOND, CLASSIFIER = (f"http://127.0.0.1:{port}/metrics" for port in (9101, 9201, 9103))
OPEN = SourceState.OPEN


class Rig:
    """Two captures and a classifier; `reports` is what each of them says of its sources."""

    def __init__(self) -> None:
        self.scraper = Scraper([FIRST, CLASSIFIER, SECOND])
        self.reports = {
            FIRST: SourceReports([SourceReport("yard", OPEN), SourceReport("door", OPEN)]),
            SECOND: SourceReports([SourceReport("attic", OPEN), SourceReport("door", OPEN)]),
        }
        self.asked: list[str] = []
        self.list = SourceList(self._ask)
        self.answer(FIRST, "capture")
        self.answer(CLASSIFIER, "classifier")
        self.answer(SECOND, "capture")

    def answer(self, url: str, stage: str, *, down: bool = False) -> None:
        registry = CollectorRegistry()
        StageMetrics(stage, registry).down.set(down)
        page = parse(generate_latest(registry).decode())
        self.scraper.histories[url].add(Scrape(0.0, page))

    def update(self) -> list[tuple[str, str, str]]:
        sources = self.list.update(self.scraper)
        return [(source.stream, source.state, source.reason) for source in sources]

    def _ask(self, url: str) -> SourceReports | None:
        self.asked.append(url)
        return self.reports.get(url)


def test_all_sources_stand_in_the_order_of_the_captures_and_of_their_configuration() -> None:
    rig = Rig()
    assert [stream for stream, _, _ in rig.update()] == ["yard", "door", "attic"]
    assert rig.asked == [FIRST, SECOND]


def test_a_dead_camera_is_listed_with_its_reason() -> None:
    rig = Rig()
    reason = "camera 0 cannot be opened: is it plugged in, free, and permitted?"
    rig.reports[FIRST] = SourceReports([SourceReport("yard", SourceState.LOST, reason)])
    assert ConfiguredSource("yard", "lost", reason) in rig.list.update(rig.scraper)


def test_sources_keep_their_places_while_their_capture_is_away() -> None:
    rig = Rig()
    rig.update()
    rig.scraper.failures = {FIRST: "Connection refused"}
    reason = "capture does not answer: Connection refused"
    assert rig.update() == [
        ("yard", "unknown", reason),
        ("door", "unknown", reason),
        ("attic", "open", ""),
    ]
    rig.scraper.failures = {}
    assert rig.update()[0] == ("yard", "open", "")


def test_a_capture_that_answers_later_does_not_change_the_order() -> None:
    rig = Rig()
    rig.scraper.failures = {FIRST: "Connection refused"}
    rig.update()
    rig.scraper.failures = {}
    assert [stream for stream, _, _ in rig.update()] == ["yard", "door", "attic"]


def test_a_capture_that_is_down_says_so_of_its_sources() -> None:
    rig = Rig()
    rig.update()
    rig.answer(FIRST, "capture", down=True)
    assert rig.update()[0] == ("yard", "unknown", "capture is down")
