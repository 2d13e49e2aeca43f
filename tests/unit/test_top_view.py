"""What `emostream top` says of why a stage is not ready, and of why frames are missing."""

import re
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest

from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.cli.top.view import unready, view
from emostream.services.relay.metrics import RelayMetrics
from emostream.shared.bus import Passed
from emostream.shared.messages import Faces, Message
from emostream.shared.metric_samples import Scrape, parse
from emostream.shared.metrics import StageMetrics
from emostream.shared.scraping import Scraper
from tests.builders import emotion, face, faces, frame
from tests.terminal import printed


def stage(
    scraper: Scraper,
    name: str,
    given: int,
    *,
    ready: bool = True,
    down: bool = False,
    captured: int = 0,
    taken: Sequence[Faces] = (),
) -> None:
    """Let the scraper have read a stage's metrics: of a capture, and of what a classifier took."""
    registry = CollectorRegistry()
    metrics = StageMetrics(name, registry)
    metrics.ready.set(ready)
    metrics.down.set(down)
    for _ in range(given):
        metrics.given("cam1", 0.02)
    if captured:
        metrics.accounts.captured(frame(captured - 1).header)
    for header in taken:
        metrics.accounts.take(header)
    scraper.histories[name].add(Scrape(0.0, parse(generate_latest(registry).decode())))


def shown(scraper: Scraper, lacks: Mapping[str, str] | None = None) -> str:
    named = {name: name for name in scraper.histories}
    return printed(view(named, scraper, lacks or {}))


def test_a_stage_that_is_not_ready_says_what_it_lacks() -> None:
    scraper = Scraper(["capture", "detector", "classifier"])
    stage(scraper, "capture", 5, ready=False)
    stage(scraper, "detector", 5)
    scraper.failures = {"classifier": "Connection refused"}
    assert unready(scraper) == ["capture"]
    text = shown(scraper, {"capture": "cam1 is lost: no such camera"})
    assert "capture: cam1 is lost: no such camera\n" in text
    assert "capture:" not in shown(scraper, {"capture": ""})


def test_a_stage_that_ended_too_often_is_down() -> None:
    scraper = Scraper(["capture", "detector"])
    stage(scraper, "capture", 5)
    stage(scraper, "detector", 0, ready=False, down=True)
    text = shown(scraper, {"detector": "down: exited with code 1"})
    assert re.search(r"^detector +down ", text, re.MULTILINE)
    assert "detector: down: exited with code 1\n" in text
    assert "not ready" not in text


def test_the_sum_says_where_frames_were_dropped_and_why() -> None:
    scraper = Scraper(["capture", "detector", "classifier"])
    stage(scraper, "capture", 10, captured=10)
    stage(scraper, "detector", 6)
    missed = {"detector/backlog": 2, "detector/stale": 1, "detector/lost": 2}
    stage(scraper, "classifier", 2, taken=[faces(0), faces(6, missed=missed)])
    assert (
        "emotions, cam1: dropped by detector backlog 2, detector stale 1; lost before detector 2\n"
    ) in shown(scraper)


def test_what_was_sent_before_a_stage_listened_is_not_dropped() -> None:
    scraper = Scraper(["capture", "classifier"])
    stage(scraper, "capture", 100, captured=100)
    registry = CollectorRegistry()
    metrics = StageMetrics("classifier", registry)
    metrics.late(Message(faces(90)), 90)
    metrics.accounts.take(faces(90))
    scraper.histories["classifier"].add(Scrape(0.0, parse(generate_latest(registry).decode())))
    text = shown(scraper)
    assert "emotions, cam1: sent before it listened: classifier 90\n" in text
    assert "dropped by" not in text
    (stage_row,) = [line for line in text.splitlines() if line.startswith("classifier")]
    assert "late" not in stage_row
    (terms,) = re.findall(r"^emotions cam1 (.+)$", text, re.MULTILINE)
    captured, *others = map(int, terms.split())
    assert (captured, others) == (100, [1, 90, 0, 0, 0, 9])


def test_nothing_is_said_where_nothing_is_missing() -> None:
    scraper = Scraper(["capture", "detector", "classifier"])
    for name in scraper.histories:
        stage(scraper, name, 10)
    assert "emotions, cam1:" not in shown(scraper)


def test_it_says_how_many_faces_were_left_out() -> None:
    """Once for a stream, also where classifiers share its faces."""
    scraper = Scraper(["classifier", "classifier 1"])
    poor = face(label="", confidence=0.0, left_out="quality")
    for name, faces_of_one in (("classifier", (poor, poor, face())), ("classifier 1", (poor,))):
        registry = CollectorRegistry()
        StageMetrics(name, registry)
        ClassifierMetrics(registry).count([], emotion(0, *faces_of_one))
        scraper.histories[name].add(Scrape(0.0, parse(generate_latest(registry).decode())))
    assert "cam1: 3 faces left out (3 low quality)\n" in shown(scraper)


def relay(scraper: Scraper, url: str, *, seconds: float, messages: int, connected: bool) -> None:
    """Let the scraper have read a relay's metrics."""
    registry = CollectorRegistry()
    StageMetrics("relay", registry)
    metrics = RelayMetrics(registry, ["tcp://gpu:5553"])
    metrics.set_connected("tcp://gpu:5553", is_connected=connected)
    for _ in range(messages):
        metrics.count(Passed("tcp://gpu:5553", "emotion/a/", 500, is_passed=True))
    scraper.histories[url].add(Scrape(seconds, parse(generate_latest(registry).decode())))


def test_a_relay_is_shown_once_it_was_there() -> None:
    scraper = Scraper(["capture", "relay"])
    stage(scraper, "capture", 5)
    scraper.failures = {"relay": "Connection refused"}
    assert "relay" not in shown(scraper)
    relay(scraper, "relay", seconds=0.0, messages=10, connected=True)
    assert "relay: no answer" in shown(scraper)


def test_a_relay_says_what_it_passes_on_of_each_source() -> None:
    scraper = Scraper(["relay"])
    relay(scraper, "relay", seconds=0.0, messages=10, connected=True)
    relay(scraper, "relay", seconds=2.0, messages=110, connected=True)
    assert "relay: tcp://gpu:5553: 50.0 messages/s, 25.0 kB/s" in shown(scraper)
    relay(scraper, "relay", seconds=4.0, messages=110, connected=False)
    assert "relay: tcp://gpu:5553 is not connected" in shown(scraper)


def test_a_standby_is_told_from_the_active_classifier() -> None:
    scraper = Scraper(["classifier", "127.0.0.1:9203"])
    for name, is_standby in (("classifier", 0), ("127.0.0.1:9203", 1)):
        registry = CollectorRegistry()
        ClassifierMetrics(registry).standby.set(is_standby)
        StageMetrics("classifier", registry).ready.set(1)
        scraper.histories[name].add(Scrape(0.0, parse(generate_latest(registry).decode())))
    text = shown(scraper)
    assert re.search(r"^classifier +ready", text, re.MULTILINE)
    assert re.search(r"^standby 127.0.0.1:9203 +ready", text, re.MULTILINE)
