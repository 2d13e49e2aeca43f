"""What every process does: losses counted, health by data flow, marks, and its HTTP answers."""

import json
import os
from contextlib import closing
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from emostream.shared.errors import BusError
from emostream.shared.gaps import Gaps
from emostream.shared.health import BEAT_WITHIN, Health
from emostream.shared.messages import Message, stamped
from emostream.shared.metrics import StageMetrics
from emostream.shared.metrics_server import MetricsServer
from tests import builders
from tests.builders import Clock
from tests.http_get import get


@pytest.fixture
def clock() -> Clock:
    return Clock()


def frame(sent: int, stream: str = "a", **fields: Any) -> Message:
    """Return a frame of a source that publishes every third."""
    marks = {"capture": (1, 2)}
    return builders.frame(3 * sent, stream=stream, sent=sent, marks=marks, **fields)


def emotion(sent: int, part: int) -> Message:
    return Message(builders.emotion(sent, stream="a", sent=sent, part=part, parts=2))


@pytest.mark.parametrize(
    ("messages", "late", "lost"),
    [
        ([frame(0), frame(1), frame(2)], 0, 0),
        ([frame(5), frame(6)], 5, 0),
        ([frame(0), frame(3)], 0, 2),
        ([frame(5), frame(9), frame(0), frame(2)], 5, 4),
        ([frame(7), frame(2)], 7, 2),
        ([frame(0), frame(1, end=True, frames=1)], 0, 0),
        ([emotion(0, 0), emotion(0, 1), emotion(1, 0), emotion(2, 1)], 0, 1),
    ],
)
def test_what_was_sent_and_did_not_come_is_counted(
    messages: list[Message], late: int, lost: int
) -> None:
    counts = {"late": 0, "lost": 0}
    gaps = Gaps(
        lambda _, count: counts.update(late=counts["late"] + count),
        lambda _, count: counts.update(lost=counts["lost"] + count),
    )
    for message in messages:
        gaps.see(message)
    assert counts == {"late": late, "lost": lost}


def test_what_was_sent_while_a_topic_was_not_heard_is_late_and_not_lost() -> None:
    late: list[tuple[str, int]] = []
    lost: list[tuple[str, int]] = []
    gaps = Gaps(
        lambda message, count: late.append((message.header.stream, count)),
        lambda message, count: lost.append((message.header.stream, count)),
    )
    for stream in ("a", "b"):
        gaps.see(frame(0, stream))
    gaps.follow({"frame/"}, {"frame/b/"})
    late.clear()
    lost.clear()
    gaps.see(frame(2, "b"))
    gaps.follow({"frame/b/"}, {"frame/"})
    gaps.see(frame(9, "a"))
    gaps.see(frame(11, "a"))
    gaps.see(frame(5, "b"))
    assert late == [("a", 8)]
    assert lost == [("b", 1), ("a", 1), ("b", 2)]


def test_ready_means_that_input_flows() -> None:
    clock = Clock()
    health = Health(silent_after=10, clock=clock)
    assert health.live
    assert health.missing() == {"loop": "it is starting"}
    health.beat()
    assert health.missing() == {}
    health.require_input()
    assert health.missing() == {"input": "no input yet"}
    health.mark_input()
    assert health.missing() == {}
    clock.now += 11
    health.beat()
    assert health.missing() == {"input": "no input for 11 s"}


def test_a_loop_that_stands_still_is_not_alive(clock: Clock) -> None:
    health = Health(silent_after=10, hung_after=30, clock=clock)
    assert (health.live, health.phase) == (True, "starting")
    health.beat()
    assert (health.live, health.phase) == (True, "running")
    clock.now += BEAT_WITHIN + 1
    assert health.live
    assert health.missing()["loop"] == "the loop has not run for 10 s"
    clock.now += 20
    assert (health.live, health.phase) == (False, "running")
    health.beat()
    assert health.live
    assert not health.missing()


def test_what_hangs_is_not_ready_either(clock: Clock) -> None:
    health = Health(silent_after=10, hung_after=5, clock=clock)
    health.beat()
    clock.now += 5
    assert not health.live
    assert health.missing() == {"loop": "the loop has not run for 5 s"}


def test_a_start_takes_as_long_as_it_takes(clock: Clock) -> None:
    health = Health(silent_after=10, hung_after=5, clock=clock)
    clock.now += 1000
    assert health.live
    assert health.liveness() == {"live": True, "phase": "starting", "pid": os.getpid()}


def test_a_stage_that_is_down_is_neither_live_nor_ready() -> None:
    health = Health(silent_after=10)
    health.set_down("exited with code 1")
    assert (health.live, health.phase) == (False, "down")
    assert health.missing() == {"process": "down: exited with code 1"}


def test_a_condition_is_missing_until_it_is_met() -> None:
    health = Health(silent_after=10)
    health.beat()
    health.set_missing("model", "the model warms up")
    assert health.missing() == {"model": "the model warms up"}
    health.clear_missing("model")
    assert health.missing() == {}


def test_a_stage_adds_its_mark_to_those_before_it() -> None:
    marks = stamped(frame(0), "detector", taken=5).header.marks
    assert marks["capture"] == (1, 2)
    assert marks["detector"][0] == 5
    assert marks["detector"][1] > 5


def test_the_metrics_port_answers_for_metrics_and_health() -> None:
    registry, health = CollectorRegistry(), Health(silent_after=10)
    health.beat()
    metrics = StageMetrics("detector", registry)
    metrics.taken("a")
    metrics.given("a", latency=0.02)
    server = MetricsServer("detector", "127.0.0.1", 0, registry, health)
    try:
        url = f"http://127.0.0.1:{server.port}"
        code, body = get(f"{url}/livez")
        assert (code, json.loads(body)) == (200, health.liveness())
        health.set_missing("model", "the model warms up")
        code, body = get(f"{url}/readyz")
        assert (code, json.loads(body)["missing"]) == (503, {"model": "the model warms up"})
        health.clear_missing("model")
        assert get(f"{url}/readyz")[0] == 200
        assert get(f"{url}/healthz")[0] == 404
        _, text = get(f"{url}/metrics")
        assert 'emostream_frames_taken_total{stage="detector",stream="a"} 1.0' in text
        with pytest.raises(BusError, match=f"detector .*{server.port}"):
            MetricsServer("detector", "127.0.0.1", server.port, registry, health)
    finally:
        server.close()


@pytest.mark.parametrize(
    ("version", "is_open_metrics"),
    [("1.0.0", True), ('"1.0.0"', True), ("0.0.1", False), ("a.b", True), ("1..0", True),
     pytest.param("9" * 5_000, True, id="long"), ("1.0.0, text/plain; version=x", True)],
)  # fmt: skip
def test_the_metrics_are_told_in_a_format_whatever_version_is_asked_for(
    version: str, is_open_metrics: bool
) -> None:
    registry = CollectorRegistry()
    StageMetrics("capture", registry)
    with closing(MetricsServer("capture", "127.0.0.1", 0, registry, Health(10))) as server:
        accept = f"application/openmetrics-text; version={version}"
        answer = httpx2.get(
            f"http://127.0.0.1:{server.port}/metrics", headers={"accept": accept}, trust_env=False
        )
    assert answer.status_code == 200
    assert "emostream_ready" in answer.text
    assert ("openmetrics" in answer.headers["content-type"]) == is_open_metrics
