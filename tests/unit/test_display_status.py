"""What the page and programs are told of the stages, and of what commands changed."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from emostream.services.cli.processes.stages import STAGES
from emostream.services.detector.metrics import DetectorMetrics
from emostream.services.display.commands import CommandHandler
from emostream.services.display.display_state import DisplayState
from emostream.services.display.pipeline_status import PipelineStatus, pipeline_status
from emostream.services.display.schema import Drop, Loss, StageState
from emostream.services.display.status_poller import StatusPoller, metrics_urls
from emostream.services.display.update_builder import UPDATE_INTERVAL_S, UpdateBuilder
from emostream.services.display.web.openapi import document, document_page, type_name
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.shared.config import load
from emostream.shared.control import StreamSwitch
from emostream.shared.join import Joined
from emostream.shared.metric_samples import Scrape, parse
from emostream.shared.metrics import StageMetrics
from emostream.shared.scraping import Scraper
from emostream.shared.shipped_files import ROOT
from tests.builders import emotion, event, face, faces, frame

URL = "http://127.0.0.1:{}/metrics"
PORTS = {"capture": 1, "detector": 2, "classifier": 3, "recorder": 4, "display": 5}
NAMED = {URL.format(port): stage for stage, port in PORTS.items()}


class Process:
    """A stage's real metrics."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.registry = CollectorRegistry()
        self.metrics = StageMetrics(stage, self.registry)
        self.metrics.ready.set(1)

    def give(self, count: int) -> "Process":
        for _ in range(count):
            self.metrics.taken("cam1")
            self.metrics.given("cam1", 0.01)
        return self


class Rig:
    """The five stages, scraped at times that the test chooses."""

    def __init__(self) -> None:
        self.processes = {stage: Process(stage) for stage in PORTS}
        self.recorder = RecorderMetrics(self.processes["recorder"].registry)
        self.scraper = Scraper(list(NAMED))

    def read(self, when: float, why: Callable[[str], str] = lambda url: "") -> PipelineStatus:
        for url, stage in NAMED.items():
            text = generate_latest(self.processes[stage].registry).decode()
            self.scraper.histories[url].add(Scrape(when, parse(text)))
        return pipeline_status(NAMED, self.scraper, why)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_each_stage_tells_its_rate_and_that_it_is_ready(rig: Rig) -> None:
    first = rig.read(0.0)
    assert [(one.stage, one.address, one.state) for one in first.stages] == [
        (stage, f"127.0.0.1:{port}", "ready") for stage, port in PORTS.items()
    ]
    assert {one.fps for one in first.stages} == {None}
    for process in rig.processes.values():
        process.give(50)
    rig.recorder.rows.labels("frames").inc(44)
    rates = {one.stage: one.fps for one in rig.read(2.0).stages}
    assert rates == {"capture": 25, "detector": 25, "classifier": 25, "recorder": 22, "display": 25}


def test_a_stage_that_is_not_ready_says_why_and_no_other_is_asked(rig: Rig) -> None:
    rig.processes["detector"].metrics.ready.set(0)
    asked: list[str] = []

    def why(url: str) -> str:
        asked.append(url)
        return "no input for 12 s"

    (state,) = [one for one in rig.read(0.0, why).stages if one.state != "ready"]
    assert (state.stage, state.state, state.reason) == (
        "detector", "not ready", "no input for 12 s",
    )  # fmt: skip
    assert asked == [URL.format(2)]


def test_a_stage_that_does_not_answer_is_away_and_its_last_words_are_not_repeated(
    rig: Rig,
) -> None:
    rig.recorder.tell_recording("cam1", True)
    assert rig.read(0.0).recording == {"cam1": True}
    rig.scraper.failures = {URL.format(4): "Connection refused"}
    after = pipeline_status(NAMED, rig.scraper, lambda url: "")
    assert after.stages[3] == StageState(
        "recorder", "127.0.0.1:4", "away", "Connection refused", None
    )
    assert after.recording == {}


def test_a_stage_that_ended_too_often_is_down(rig: Rig) -> None:
    down = rig.processes["detector"].metrics
    down.ready.set(0)
    down.down.set(1)
    states = rig.read(0.0, lambda url: "down: exited with code 1").stages
    assert states[1] == StageState(
        "detector", "127.0.0.1:2", "down", "down: exited with code 1", None
    )
    assert {one.state for one in states if one.stage != "detector"} == {"ready"}


def test_the_loss_sum_adds_up(rig: Rig) -> None:
    accounts = {stage: process.metrics.accounts for stage, process in rig.processes.items()}
    accounts["capture"].captured(frame(99).header)
    accounts["classifier"].take(faces(0, publisher="a"))
    missed = {"detector/backlog": 1, "detector/lost": 4}
    accounts["classifier"].take(faces(6, publisher="a", missed=missed))
    accounts["classifier"].take(faces(94, publisher="b"))
    accounts["display"].take(frame(99).header)
    sums = {one.path: one for one in rig.read(0.0).accounts}
    assert set(sums) == {"emotions", "pixels to display"}
    one = sums["emotions"]
    assert (one.stream, one.part, one.captured, one.answered) == ("cam1", None, 100, 3)
    assert (one.dropped, one.lost) == ([Drop("detector", "backlog", 1)], [Loss("detector", 4)])
    assert one.lost_with_process == [Loss("detector", 87)]
    assert one.in_flight == 5
    accounts["recorder"].take(emotion(9))
    accounts["recorder"].take(frame(9).header)
    assert "rows" in {one.path for one in rig.read(1.0).accounts}
    rig.recorder.tell_recording("cam1", True)
    assert "pixels to recorder" in {one.path for one in rig.read(2.0).accounts}


def test_a_recording_with_visible_faces_is_told(rig: Rig) -> None:
    for stream, recording, blurred in (("a", 1, 0), ("b", 1, 1), ("c", 0, 0)):
        rig.recorder.tell_recording(stream, bool(recording))
        rig.recorder.tell_blurred(stream, bool(blurred))
    said = rig.read(0.0)
    assert said.recording == {"a": True, "b": True, "c": False}
    assert said.unblurred == {"a"}


def test_the_addresses_are_those_of_the_configuration_and_its_own_real_one() -> None:
    config = load(None, ["classifier.metrics=127.0.0.1:0", 'display.watch=["gpu:9103"]'])
    assert metrics_urls(config, URL.format(9205)) == {
        URL.format(9101): "capture",
        URL.format(9102): "detector",
        URL.format(9104): "recorder",
        URL.format(9106): "relay",
        URL.format(9205): "display",
        "http://gpu:9103/metrics": "unknown",
    }


def test_of_a_stage_on_every_address_the_watched_one_of_its_port_is_asked() -> None:
    watch = 'display.watch=["recorder:9104", "gpu:9203"]'
    config = load(None, ["recorder.metrics=0.0.0.0:9104", "capture.metrics=0.0.0.0:9101", watch])
    named = metrics_urls(config, URL.format(9105))
    assert named["http://recorder:9104/metrics"] == "recorder"
    assert named["http://gpu:9203/metrics"] == "unknown"
    assert named["http://0.0.0.0:9101/metrics"] == "capture"
    assert "http://0.0.0.0:9104/metrics" not in named


def test_in_the_compose_setup_each_stage_is_asked_at_its_own_host() -> None:
    config = load(ROOT / "docker" / "compose.toml")
    others = dict(zip(STAGES, range(9101, 9105), strict=False))
    expected = {f"http://{stage}:{port}/metrics": stage for stage, port in others.items()}
    # Compose has no relay; the page passes over one that never answered.
    relay = {"http://127.0.0.1:9106/metrics": "relay"}
    assert metrics_urls(config, "own") == {**expected, **relay, "own": "display"}


class UpdateRig:
    """An update builder, with a poller that reads nothing by itself."""

    def __init__(self, token: bool = False) -> None:
        self.state = DisplayState()
        self.commands = CommandHandler(StreamSwitch(False))
        self.poller = StatusPoller({}, lambda: False)
        self.builder = UpdateBuilder(self.state, self.commands, self.poller, token)

    def answer(self, label: str, seq: int = 0) -> None:
        header = emotion(seq, face(1, label, smoothed={label: 1.0}))
        self.state.add_results(header)
        picture = frame(seq, width=64, height=48)
        self.state.add_frame(Joined(picture, (header,), True))


@pytest.fixture
def updates() -> UpdateRig:
    return UpdateRig()


def test_the_state_tells_each_stream_s_newest_faces(updates: UpdateRig) -> None:
    updates.answer("fear", seq=3)
    state = json.loads(msgspec.json.encode(updates.builder.state()))
    one = state["streams"]["cam1"]
    assert (one["seq"], one["run"], one["width"], one["height"]) == (3, "r", 64, 48)
    (face,) = one["faces"]
    assert (face["label"], face["box"], face["track"]) == ("fear", [1, 2, 30, 40], 1)
    assert {"fps", "latency_ms", "age_ms", "t", "stale", "ended"} < set(one)
    assert (state["stages"], state["accounts"]) == ([], [])


@pytest.mark.parametrize(
    ("blurred", "recording", "unblurred", "told"),
    [
        (False, {}, frozenset(), (None, False)),
        (True, {}, frozenset(), (None, True)),
        (True, {"cam1": True}, frozenset(), (True, True)),
        # A recorder that was restarted and forgot the command must not pass for blurred.
        (True, {"cam1": True}, frozenset({"cam1"}), (True, False)),
        (True, {"cam1": False}, frozenset(), (False, True)),
    ],
)
def test_controls_tell_what_is_and_not_what_was_asked_for(
    updates: UpdateRig,
    blurred: bool,
    recording: dict[str, bool],
    unblurred: frozenset[str],
    told: tuple[bool | None, bool],
) -> None:
    updates.answer("fear")
    updates.commands.blur.set("cam1", blurred)
    updates.poller.status = PipelineStatus(recording=recording, unblurred=unblurred)
    controls = updates.builder.update(0).controls
    assert not controls.token
    assert (controls.streams["cam1"].recording, controls.streams["cam1"].blur) == told
    assert controls.streams["cam1"].pictures_blurred == blurred
    assert updates.builder.state().controls == controls


def test_the_page_is_told_that_commands_need_a_token() -> None:
    assert UpdateRig(token=True).builder.update(0).controls.token


def test_an_update_is_built_once_for_all_viewers_of_a_revision(updates: UpdateRig) -> None:
    updates.answer("fear")
    first = updates.builder.encoded(0, now=10.0)
    updates.answer("fear", seq=1)
    assert updates.builder.encoded(0, now=10.2) is first
    second = updates.builder.encoded(first.revision, now=10.3)
    assert second.revision > first.revision
    later = updates.builder.encoded(0, now=10.0 + UPDATE_INTERVAL_S)
    assert later is not first
    assert later.revision > first.revision
    assert updates.builder.next_due(10.2) == pytest.approx(10.5)


def test_a_new_label_is_sent_though_an_update_was_just_built(updates: UpdateRig) -> None:
    updates.answer("fear")
    made = updates.builder.encoded(0, now=10.0)
    updates.answer("awe", seq=1)
    fresh = updates.builder.encoded(0, now=10.1)
    assert made.text != fresh.text
    assert [look["label"] for look in json.loads(fresh.text)["labels"]] == ["fear", "awe"]


def test_events_are_read_from_where_a_client_stands(updates: UpdateRig) -> None:
    for seq in range(3):
        updates.state.add_event(event(seq, track=seq))
    revisions = [revision for revision, _ in updates.state.events(0)]
    assert [one.track for _, one in updates.state.events(revisions[0])] == [1, 2]
    assert updates.state.events(updates.state.revision) == []


def references(part: Any) -> set[str]:
    """Return all $ref below a part of the document."""
    if isinstance(part, dict):
        own = {part["$ref"]} if "$ref" in part else set()
        return own.union(*(references(value) for value in part.values()))
    if isinstance(part, list):
        return set().union(*(references(value) for value in part)) if part else set()
    return set()


def test_the_description_is_whole() -> None:
    described = document()
    assert described["openapi"].startswith("3.1")
    schemas = described["components"]["schemas"]
    assert references(described) == {f"#/components/schemas/{name}" for name in schemas}
    for schema in schemas.values():
        assert schema["description"]
        assert "  " not in schema["description"]
    assert json.loads(json.dumps(described)) == described


def test_the_page_names_every_request_and_every_field_and_needs_nothing_from_outside() -> None:
    text, described = document_page(), document()
    for path in described["paths"]:
        assert path in text
    for name, schema in described["components"]["schemas"].items():
        assert f'id="{name}"' in text
        for field in schema["properties"]:
            assert f"<code>{field}</code>" in text
    assert "<script" not in text
    assert 'src="' not in text


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "text"),
        ({"type": "array", "items": {"type": "number"}}, "list of number"),
        ({"type": "array", "prefixItems": [{"type": "number"}] * 2}, "[number, number]"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "true or false or null"),
        ({"enum": ["a", "b"]}, '"a" | "b"'),
        ({"$ref": "#/components/schemas/State"}, "State"),
        (
            {"type": "object", "additionalProperties": {"type": "number"}},
            "map of names to number",
        ),
    ],
)
def test_schemas_are_told_in_words(schema: dict[str, Any], words: str) -> None:
    assert type_name(schema) == words


def test_a_stage_that_leaves_frames_out_tells_how_many_it_works_on(rig: Rig) -> None:
    detector = rig.processes["detector"]
    counted = 0
    DetectorMetrics(detector.registry, Counter(), lambda: counted)
    rig.read(0.0)
    detector.give(30)
    counted = 24
    for seq, reason in ((0, "stale"), (1, "backlog"), (2, "late")):
        for _ in range(25):
            detector.metrics.dropped(frame(seq, stream="cam1"), reason)
    detector.metrics.lost(frame(3, stream="cam1"), 20)
    rig.processes["classifier"].give(30)
    states = {one.stage: one for one in rig.read(2.0).stages}
    assert (states["detector"].analyzed, states["detector"].whole_only) == (0.3, 0.8)
    assert (states["classifier"].analyzed, states["classifier"].whole_only) == (1, None)
    assert states["capture"].analyzed is None


def test_a_relay_that_never_answered_is_no_fault() -> None:
    named = {URL.format(1): "capture", URL.format(6): "relay"}
    scraper = Scraper(list(named))
    scraper.failures = dict.fromkeys(named, "Connection refused")
    assert [s.stage for s in pipeline_status(named, scraper, lambda _: "").stages] == ["capture"]
    text = generate_latest(Process("relay").registry).decode()
    scraper.histories[URL.format(6)].add(Scrape(0.0, parse(text)))
    status = pipeline_status(named, scraper, lambda _: "")
    assert [(s.stage, s.state) for s in status.stages] == [("capture", "away"), ("relay", "away")]
