"""The arithmetic behind `emostream top`, and what its tables say."""

import argparse
import math
from collections.abc import Iterable, Sequence
from typing import Any, Self, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from emostream.services.cli.top import command as top
from emostream.services.cli.top.view import rows, view
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.shared import histogram
from emostream.shared.config import Classifier, Config, Display
from emostream.shared.errors import ConfigError
from emostream.shared.frame_counts import frame_counts
from emostream.shared.messages import Message
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import History, Scrape, parse
from emostream.shared.metrics import StageMetrics
from emostream.shared.scraping import Scraper
from tests.builders import emotion, faces, frame
from tests.terminal import printed

INF = math.inf


@pytest.mark.parametrize(
    ("q", "buckets", "expected"),
    [
        (0.5, {}, None),
        (0.5, {1.0: 0, INF: 0}, None),
        # All in one bucket: spread evenly over it.
        (0.5, {1.0: 10, 2.0: 10, INF: 10}, 0.5),
        (0.9, {1.0: 10, 2.0: 10, INF: 10}, 0.9),
        (0.5, {1.0: 0, 2.0: 10, INF: 10}, 1.5),
        # Across buckets, empty ones between.
        (0.5, {1.0: 2, 2.0: 4, 4.0: 8, INF: 8}, 2.0),
        (0.75, {1.0: 2, 2.0: 4, 4.0: 8, INF: 8}, 3.0),
        (0.99, {1.0: 50, 2.0: 50, 4.0: 50, 8.0: 100, INF: 100}, 4 + 4 * 0.98),
        (1.0, {1.0: 50, 2.0: 100, INF: 100}, 2.0),
        # The lowest value lies at the start of the first bucket that has any.
        (0.0, {1.0: 0, 2.0: 0, 4.0: 8, INF: 8}, 2.0),
        # Nothing is known of the last bucket but its start.
        (0.5, {1.0: 0, 2.0: 1, INF: 100}, 2.0),
        (0.5, {INF: 100}, 0.0),
        # The order of the bounds does not matter.
        (0.75, {INF: 8, 4.0: 8, 2.0: 4, 1.0: 2}, 3.0),
    ],
)
def test_quantiles(q: float, buckets: dict[float, float], expected: float | None) -> None:
    assert histogram.quantile(q, buckets) == (
        expected if expected is None else pytest.approx(expected)
    )


class Stage:
    """A stage's real metrics, read at chosen times."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.registry = CollectorRegistry()
        self.metrics = StageMetrics(name, self.registry)
        self.metrics.ready.set(1)

    def give(self, count: int, latency: float = 0.02, stream: str = "cam1") -> Self:
        for _ in range(count):
            self.metrics.taken(stream)
            self.metrics.given(stream, latency)
        return self

    def drop(self, count: int, reason: str = "backlog", of: Iterable[int] = ()) -> Self:
        for seq in of or range(count):
            self.metrics.dropped(Message(faces(seq)), reason)
        return self

    def lose(self, count: int, before: int = 0) -> Self:
        self.metrics.lost(Message(faces(before)), count)
        return self

    def capture(self, count: int, **fields: Any) -> Self:
        self.metrics.accounts.captured(frame(count - 1, **fields).header)
        return self

    def take_frame(self, seq: int) -> Self:
        self.metrics.accounts.take(frame(seq, publisher="capture").header)
        return self

    def take(self, seq: int, **fields: Any) -> Self:
        self.metrics.accounts.take(faces(seq, **{"publisher": "detector", **fields}))
        return self

    def take_emotion(self, seq: int, **fields: Any) -> Self:
        self.metrics.accounts.take(emotion(seq, **{"publisher": "classifier", **fields}))
        return self

    def read(self, when: float = 0.0) -> Scrape:
        return Scrape(when, parse(generate_latest(self.registry).decode()))


def history(*scrapes: Scrape, window: float = 10.0) -> History:
    filled = History(window)
    for scrape in scrapes:
        filled.add(scrape)
    return filled


GIVEN = MetricName.FRAMES_GIVEN


@pytest.mark.parametrize(
    ("readings", "rate"),
    [
        ([(0, 0)], None),
        ([(0, 0), (2, 50)], 25),
        ([(0, 0), (1, 100), (2, 100)], 50),
        # Only the last ten seconds count.
        ([(0, 0), (5, 1000), (10, 1100), (15, 1250)], 25),
        # A process that restarted begins from there.
        ([(0, 900), (1, 925), (2, 10)], None),
        ([(0, 900), (1, 925), (2, 10), (3, 40)], 30),
    ],
)
def test_rates(readings: list[tuple[float, float]], rate: float | None) -> None:
    labels = frozenset({("stage", "detector"), ("stream", "cam1")})
    scrapes = [Scrape(when, {GIVEN: {labels: value}}) for when, value in readings]
    assert history(*scrapes).rate(GIVEN, stage="detector", stream="cam1") == rate


def test_a_stream_that_is_new_counts_from_nothing() -> None:
    detector = Stage("detector").give(10)
    first = detector.read(0)
    past = history(first, detector.give(30, stream="cam2").read(1))
    assert past.rate(GIVEN, stage="detector", stream="cam2") == 30
    assert past.rate(GIVEN, stage="detector", stream="cam1") == 0


def test_a_gauge_that_falls_is_no_new_process() -> None:
    detector = Stage("detector")
    detector.metrics.queue_depth.set(3)
    first = detector.read(0)
    detector.metrics.queue_depth.set(0)
    detector.metrics.ready.set(0)
    assert history(first, detector.give(7).read(1)).seconds == 1


def test_a_row_tells_of_the_last_seconds() -> None:
    classifier = Stage("classifier").give(1000, latency=3.0).drop(2).drop(1, "stale").lose(4)
    first = classifier.read(0)
    classifier.give(90, latency=0.0275).give(10, latency=0.09)
    (row,) = rows(history(first, classifier.read(4)), "classifier")
    assert (row.stream, row.frames, row.lost) == ("cam1", 25, 4)
    assert row.dropped == {"backlog": 2, "stale": 1}
    p50, p95, p99 = row.latency
    assert p50 is not None
    assert p95 is not None
    assert p99 is not None
    assert 0.025 < p50 < 0.03
    assert 0.08 < p95 < p99 <= 0.1
    assert row.faces is None


def test_a_row_without_a_past_has_no_rates() -> None:
    (row,) = rows(history(Stage("detector").give(5).read()), "detector")
    assert (row.frames, row.faces, row.latency) == (None, None, (None, None, None))
    assert list(rows(History(), "detector")) == []


def test_the_emotion_path_adds_up() -> None:
    classifier = Stage("classifier").take(0).lose(4, before=997).drop(3, of=range(990, 993))
    missed = {"detector/backlog": 20, "detector/stale": 5}
    scrapes = [
        Stage("capture").capture(1000).read(),
        *(Stage("detector").read(), classifier.take(997, missed=missed).read()),
    ]
    (counts,) = frame_counts(scrapes)
    assert (counts.path, counts.stream, counts.part) == ("emotions", "cam1", None)
    assert (counts.captured, counts.answered, counts.in_flight) == (1000, 2, 2)
    assert counts.dropped == {
        ("detector", "backlog"): 20,
        ("detector", "stale"): 5,
        ("classifier", "backlog"): 3,
    }
    assert counts.lost == {"classifier": 4}
    # What nobody says anything about is not hidden in another term.
    assert counts.unexplained == 996 - 28 - 4


def test_what_was_lost_with_a_process_is_a_term_of_its_own() -> None:
    classifier = Stage("classifier").take(0).take(10, publisher="started again")
    (counts,) = frame_counts([Stage("capture").capture(12).read(), classifier.read()])
    assert counts.lost_with_process == {"detector": 9}
    assert (counts.captured, counts.answered, counts.in_flight) == (12, 2, 1)
    assert counts.unexplained == 0


def test_a_stage_that_was_started_again_leaves_the_word_to_one_that_knows_more() -> None:
    capture = Stage("capture").capture(60)
    classifier = Stage("classifier").take(50).take(51)
    recorder = Stage("recorder")
    for seq in range(20):
        recorder.take_emotion(seq)
    recorder.take_emotion(50, publisher="started again").take_emotion(51, publisher="started again")
    scrapes = [stage.read() for stage in (capture, classifier, recorder)]
    emotions, rows = frame_counts(scrapes)
    assert (emotions.path, rows.path) == ("emotions", "rows")
    for counts in (emotions, rows):
        assert (counts.captured, counts.answered, counts.in_flight) == (60, 22, 8)
        assert counts.lost_with_process == {"classifier": 30}
        assert counts.unexplained == 0


def test_who_was_restarted_leaves_the_word_also_where_it_answered_about_as_much() -> None:
    classifier = Stage("classifier")
    for seq in range(30, 150):
        classifier.take(seq)
    display = Stage("display")
    for seq in [*range(2, 12), *range(32, 150)]:
        display.take_emotion(seq, publisher="first" if seq < 12 else "started again")
    scrapes = [stage.read() for stage in (Stage("capture").capture(150), classifier, display)]
    (counts,) = frame_counts(scrapes)
    assert counts.answered == 128
    assert counts.lost_with_process == {"classifier": 20}
    assert counts.dropped == {("display", "late"): 2}
    assert counts.unexplained == 0


def test_what_a_recorder_missed_was_answered_all_the_same() -> None:
    recorder = Stage("recorder").take_emotion(0)
    recorder.metrics.lost(Message(emotion(5)), 4)
    scrapes = [Stage("capture").capture(6).read(), recorder.take_emotion(5).read()]
    emotions, rows = frame_counts(scrapes)
    assert (emotions.answered, emotions.lost) == (6, {})
    assert (rows.answered, rows.lost) == (2, {"recorder": 4})


def test_a_new_run_is_in_flight_until_it_is_seen() -> None:
    classifier = Stage("classifier")
    for seq in range(100):
        classifier.take(seq)
    capture = Stage("capture").capture(3, run="the next")
    (counts,) = frame_counts([capture.read(), classifier.read()])
    assert (counts.captured, counts.answered, counts.in_flight) == (103, 100, 3)


def test_each_path_is_counted_by_itself() -> None:
    capture = Stage("capture").capture(100).capture(40, stream="cam2")
    display = Stage("display")
    display.metrics.late(frame(90), 90)
    scrapes = [capture.read(), display.take_frame(90).read()]
    (counts,) = frame_counts(scrapes)
    assert (counts.path, counts.stream, counts.in_flight) == ("pixels to display", "cam1", 9)
    assert counts.dropped == {("display", "late"): 90}


def test_a_recorder_without_video_reads_no_pixels() -> None:
    capture, recorder = Stage("capture").capture(100), Stage("recorder").take_frame(0)
    # A recorder that starts does not have its own metrics yet.
    assert frame_counts([capture.read(), recorder.read()]) == []
    written = RecorderMetrics(recorder.registry)
    written.tell_recording("cam1", False)
    assert frame_counts([capture.read(), recorder.read()]) == []
    written.tell_recording("cam1", True)
    (counts,) = frame_counts([capture.read(), recorder.read()])
    assert (counts.path, counts.in_flight) == ("pixels to recorder", 99)


def test_each_part_has_a_sum_of_its_own() -> None:
    first, second = Stage("classifier").take(0, part=0), Stage("classifier").take(0, part=1)
    scrapes = [Stage("capture").capture(100).read(), first.read(), second.take(1, part=1).read()]
    assert [(one.part, one.answered, one.in_flight) for one in frame_counts(scrapes)] == [
        (0, 1, 99),
        (1, 2, 98),
    ]


def test_a_sum_without_all_its_stages_is_not_shown() -> None:
    capture, detector = Stage("capture").capture(9), Stage("detector").take_frame(8)
    assert frame_counts([capture.read(), detector.read()]) == []
    assert frame_counts([Stage("classifier").take(8).read()]) == []
    assert frame_counts([]) == []


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("", "no emostream metrics"),
        ("python_info 1.0\n", "no emostream metrics"),
        ("<html><body>It works!</body></html>", "not a metrics page"),
        ("emostream_ready{", "not a metrics page"),
    ],
)
def test_a_page_of_something_else_is_refused(page: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(page)


def test_another_version_s_page_is_refused() -> None:
    page = generate_latest(Stage("detector").registry).decode()
    other = "\n".join(line for line in page.splitlines() if "emostream_frames_lost" not in line)
    with pytest.raises(ValueError, match="it has no emostream_frames_lost_total"):
        parse(other)


def test_a_metric_without_a_sample_counts_0_and_an_unknown_one_is_an_error() -> None:
    page = Stage("detector").read()
    assert page.total(MetricName.FRAMES_LOST) == 0
    assert page.values(MetricName.FRAMES_LOST, "topic") == set()
    assert page.observed(MetricName.STAGE_SECONDS, stage="detector") == 0
    unknown = cast(MetricName, "emostream_no_such")
    for ask in (page.total, page.observed, lambda name: page.values(name, "stage")):
        with pytest.raises(KeyError, match="emostream_no_such"):
            ask(unknown)
    with pytest.raises(ValueError, match="emostream_no_such"):
        page.has(unknown)


def test_what_only_another_stage_has_is_asked_for_first() -> None:
    page = Stage("detector").read()
    assert not page.has(MetricName.RECORDER_RECORDING)
    with pytest.raises(KeyError):
        page.total(MetricName.RECORDER_RECORDING)


def scraper_of(*stages: Stage, dead: Sequence[str] = ()) -> Scraper:
    scraper = Scraper([])
    for stage in stages:
        first = stage.read(0)
        scraper.histories[stage.name] = history(first, stage.give(50).read(2))
    for name in dead:
        scraper.histories[name] = History()
        scraper.failures = {**scraper.failures, name: "Connection refused"}
    return scraper


def line(shown: str, start: str) -> list[str]:
    return next(line for line in shown.splitlines() if line.strip().startswith(start)).split()


def test_the_view_names_every_stage_and_stream() -> None:
    capture, detector = Stage("capture"), Stage("detector").drop(3).give(1, stream="cam2")
    detector.metrics.queue_depth.set(2)
    detector.metrics.bad("msgpack")
    scraper = scraper_of(capture, detector)
    shown = printed(view({"capture": "capture", "detector": "detector"}, scraper))
    assert line(shown, "capture")[:4] == ["capture", "ready", "cam1", "25.0"]
    cells = line(shown, "detector")
    assert cells[:4] == ["detector", "ready", "cam1", "25.0"]
    assert cells[-4:] == ["0", "2", "backlog", "3"]
    assert "detector: 1 message that violate the wire format" in shown
    assert line(shown, "cam2")[:2] == ["cam2", "0.0"]


def test_a_stage_that_does_not_answer_is_shown_as_such() -> None:
    scraper = scraper_of(Stage("capture"), dead=["detector"])
    shown = printed(view({"capture": "capture", "detector": "detector"}, scraper))
    assert line(shown, "detector")[:3] == ["detector", "no", "answer"]
    assert "detector: no answer from detector: Connection refused" in shown
    assert "25.0" in shown


def test_a_stage_that_is_not_ready_is_shown_as_such() -> None:
    display = Stage("display")
    display.metrics.ready.set(0)
    shown = printed(view({"display": "display"}, scraper_of(display)))
    assert line(shown, "display")[:3] == ["display", "not", "ready"]


def test_the_view_shows_the_sums_with_every_term_and_what_they_leave_open() -> None:
    classifier = Stage("classifier").take(0).drop(2, of=(1, 2)).take(3).lose(4, before=8).take(8)
    stages = Stage("capture").capture(40), Stage("detector"), classifier.take(38, publisher="2nd")
    named = {stage.name: stage.name for stage in stages}
    shown = printed(view(named, scraper_of(*stages)))
    assert line(shown, "emotions")[2:9] == ["40", "4", "0", "2", "4", "29", "1"]
    assert "dropped by classifier backlog 2; lost before classifier 4" in shown
    assert "lost with a process: detector 29" in shown
    assert "unexplained" not in shown
    classifier.take(50, publisher="2nd")
    assert "unexplained: 11" in printed(view(named, scraper_of(*stages)))


def test_the_view_fits_a_narrow_terminal() -> None:
    classifier = Stage("classifier").take(9_999_994)
    capture = Stage("capture").capture(9_999_990)
    stages = capture, Stage("detector").drop(2).drop(3, "stale"), classifier
    stages[0].metrics.ready.set(0)
    named = {stage.name: stage.name for stage in stages}
    shown = printed(view(named, scraper_of(*stages)), width=80)
    assert line(shown, "classifier")[:4] == ["classifier", "ready", "cam1", "25.0"]
    assert line(shown, "emotions")[-1] == "-5"
    assert "…" not in shown
    assert "stale 3" in shown


@pytest.mark.parametrize(
    ("other", "url", "name"),
    [
        ("10.0.0.7:9103", "http://10.0.0.7:9103/metrics", "10.0.0.7:9103"),
        ("http://gpu:9103/metrics", "http://gpu:9103/metrics", "gpu:9103"),
        # The classifier's own, named again, stays the classifier.
        ("127.0.0.1:9103", "http://127.0.0.1:9103/metrics", "classifier"),
    ],
)
def test_further_processes_can_be_named(other: str, url: str, name: str) -> None:
    named = top.named_urls(Config(), [other])
    assert list(named.values())[:5] == ["capture", "detector", "classifier", "recorder", "display"]
    assert named[url] == name


def test_what_the_page_watches_is_shown_without_being_named_again() -> None:
    config = Config(display=Display(watch=("10.0.0.7:9103", "127.0.0.1:9103")))
    named = top.named_urls(config, [])
    assert named["http://10.0.0.7:9103/metrics"] == "10.0.0.7:9103"
    assert named["http://127.0.0.1:9103/metrics"] == "classifier"
    assert len(named) == len(top.named_urls(Config(), [])) + 1


def test_a_stage_that_may_be_on_another_host_has_a_hint_how_to_reach_its_metrics() -> None:
    assert top.tunnel_hints(Config()) == {}
    far = Classifier(bind="tcp://10.0.0.2:5553")
    (hint,) = top.tunnel_hints(Config(classifier=far)).items()
    assert hint[0] == "http://127.0.0.1:9103/metrics"
    assert "ssh -N -L 9103:127.0.0.1:9103 10.0.0.2" in hint[1]
    reached = Classifier(bind="tcp://10.0.0.2:5553", metrics="10.0.0.2:9103")
    assert top.tunnel_hints(Config(classifier=reached)) == {}


@pytest.mark.parametrize("other", ["file:///etc/passwd", "gpu", "ftp://gpu:1/x", ""])
def test_what_is_no_url_is_refused(other: str) -> None:
    with pytest.raises(ConfigError, match="--metrics"):
        top.named_urls(Config(), [other])


def test_options() -> None:
    parser = argparse.ArgumentParser()
    top.add_options(parser)
    options = parser.parse_args(["--metrics", "a:1", "--metrics", "b:2", "--once"])
    assert (options.metrics, options.once, options.config) == (["a:1", "b:2"], True, None)
