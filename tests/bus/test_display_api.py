"""What programs ask the display for, over real sockets: commands, state, events, description."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx2
import psutil
import pytest
from prometheus_client import CollectorRegistry

from emostream.services.display.display_state import MAX_EVENTS
from emostream.shared.health import Health
from emostream.shared.messages import Control
from emostream.shared.metrics import StageMetrics
from emostream.shared.metrics_server import MetricsServer
from emostream.shared.source_report import SOURCES_PATH, SourceReport, SourceReports, SourceState
from tests.builders import event, header_of
from tests.bus.site import Site, emotion, serving
from tests.web_access import access

WAIT = 30.0
RECORD = '{"stream": "cam1", "command": "record", "arguments": {"on": true}}'


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        site.state.add_results(emotion("fear"))
        yield site


def given(site: Site) -> list[tuple[str, str, bool]]:
    """Return (stream, command, on) of what goes to the bus."""
    headers = [header_of(message, Control) for message in site.commands.take_messages()]
    return [(one.stream, one.command, one.arguments["on"]) for one in headers]


def test_a_command_is_taken_and_goes_to_the_bus(site: Site) -> None:
    answer = site.post(RECORD)
    assert (answer.status_code, answer.json()) == (202, {})
    assert given(site) == [("cam1", "record", True)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"stream": "nobody", "command": "record", "arguments": {"on": true}}', "nobody"),
        ('{"stream": "cam1", "command": "fly", "arguments": {"on": true}}', "fly"),
        ('{"stream": "cam1", "command": "record", "arguments": {"on": "yes"}}', "arguments.on"),
        ('{"stream": "cam1", "command": "record", "arguments": {}}', "on"),
        ('{"stream": "cam1", "command": "record"}', "arguments"),
        ('{"stream": "cam1", "command": "record", "arguments": {"on": true}, "x": 1}', "x"),
        ('{"stream": "../x", "command": "record", "arguments": {"on": true}}', "stream"),
        ("no JSON", "JSON"),
        ("[]", "object"),
        ("", "truncated"),
        (b'{"stream": "\xff"', ""),
        (RECORD + " " * 100_000, "longer"),
        ("[" * 4_000, "object"),
        (RECORD.replace("true", 'true, "x": ' + "[" * 3_000), "recursion"),
    ],
)
def test_what_is_no_command_is_refused_with_the_reason(
    site: Site, content: str | bytes, said: str
) -> None:
    answer = site.post(content)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert given(site) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://elsewhere.example"},
        {"content_type": "text/plain"},
        {"host": "rebound.example"},
    ],
)
def test_a_page_from_elsewhere_cannot_give_commands(site: Site, headers: dict[str, str]) -> None:
    assert site.post(RECORD, **headers).status_code == 403
    assert given(site) == []
    assert site.post(RECORD, origin=site.server.url).status_code == 202


def test_with_a_token_commands_need_it_and_watching_does_not() -> None:
    with serving(access("sesame", exposed=True)) as site:
        site.state.add_results(emotion("fear"))
        refused = site.post(RECORD)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert "token" in refused.json()["error"]
        assert site.post(RECORD, authorization="Bearer wrong").status_code == 401
        assert given(site) == []
        assert site.post(RECORD, authorization="Bearer sesame").status_code == 202
        assert given(site) == [("cam1", "record", True)]
        assert site.get("/api/state").json()["controls"]["token"] is True
        with site.connect() as viewer:
            assert json.loads(viewer.recv(timeout=WAIT))["controls"]["token"] is True


def test_beyond_this_machine_without_a_token_the_answer_says_what_to_set() -> None:
    with serving(access(exposed=True)) as site:
        site.state.add_results(emotion("fear"))
        answer = site.post(RECORD, authorization="Bearer any")
        assert answer.status_code == 403
        assert "display.token_file" in answer.json()["error"]


class Stage:
    """A stage's metrics port, which counts how often it is read."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.health = Health(10)
        self.metrics = StageMetrics("capture", self.registry)
        self.metrics.given("cam1", 0.01)
        self.reads = 0
        self.sources = SourceReports([])
        self.registry.register(self)

    def collect(self) -> list[Any]:
        self.reads += 1
        return []


@contextmanager
def stage() -> Iterator[tuple[Stage, str]]:
    made = Stage()
    server = MetricsServer("capture", "127.0.0.1", 0, made.registry, made.health)
    server.serve_json(SOURCES_PATH, lambda: made.sources)
    with closing(server):
        made.reads = 0
        yield made, f"http://127.0.0.1:{server.port}/metrics"


def until(condition: Any) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_first_question_for_the_state_already_tells_of_the_stages() -> None:
    with stage() as (_, url), serving(stages={url: "capture"}) as site:
        (state,) = site.get("/api/state").json()["stages"]
        # Not ready, since no loop of it goes round; /readyz says that.
        assert (state["stage"], state["state"], state["reason"]) == (
            "capture", "not ready", "it is starting",
        )  # fmt: skip


def test_stages_are_asked_only_while_somebody_looks() -> None:
    with stage() as (counted, url), serving(stages={url: "capture"}) as site:
        time.sleep(1.5)
        assert counted.reads == 0
        with site.connect() as one, site.connect():
            until(lambda: json.loads(one.recv(timeout=WAIT))["stages"])
            until(lambda: counted.reads >= 3)
        site.wait_for_viewers(0)
        until(lambda: not site.poller.status.stages)
        reads = counted.reads
        time.sleep(1.5)
        assert counted.reads == reads


def test_sources_are_told_in_order_and_take_commands_before_their_first_picture() -> None:
    with stage() as (capture, url), serving(stages={url: "capture"}) as site:
        yard = SourceReport("yard", SourceState.LOST, "camera 0 cannot be opened")
        command = RECORD.replace("cam1", "yard")
        capture.sources = SourceReports([yard, SourceReport("door", SourceState.OPEN)])
        assert site.post(command).status_code == 400
        state = site.get("/api/state").json()
        assert state["sources"] == [
            {"stream": "yard", "state": "lost", "reason": "camera 0 cannot be opened"},
            {"stream": "door", "state": "open", "reason": ""},
        ]
        assert list(state["controls"]["streams"]) == ["yard", "door"]
        assert site.post(command).status_code == 202


def test_a_viewer_who_comes_is_told_the_sources_at_once() -> None:
    with stage() as (capture, url), serving(stages={url: "capture"}) as site:
        capture.sources = SourceReports([SourceReport("door", SourceState.OPENING)])
        with site.connect() as viewer:
            updates = [json.loads(viewer.recv(timeout=5)) for _ in range(2)]
            assert updates[-1]["sources"][0]["stream"] == "door"


def test_a_stage_that_is_away_is_told_with_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with serving(stages={f"http://127.0.0.1:{port}/metrics": "recorder"}) as site:
        (state,) = site.get("/api/state").json()["stages"]
        assert state == {
            "stage": "recorder", "address": f"127.0.0.1:{port}", "state": "away",
            "reason": "Connection refused", "fps": None, "analyzed": None, "whole_only": None,
        }  # fmt: skip


class Source:
    """An open event stream; `next` reads one event as a map of its fields."""

    def __init__(self, response: httpx2.Response) -> None:
        self.status = response.status_code
        self.type = response.headers["content-type"]
        self._lines = response.iter_lines()

    def next(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and fields:
                return fields
            name, colon, value = line.partition(": ")
            if colon and name:
                fields[name] = value
        return {}


@contextmanager
def source(site: Site, path: str = "/events", last: str | None = None) -> Iterator[Source]:
    headers = {} if last is None else {"last-event-id": last}
    url = site.server.url + path
    with httpx2.stream("GET", url, headers=headers, timeout=WAIT, trust_env=False) as response:
        yield Source(response)


def test_events_come_as_server_sent_events(site: Site) -> None:
    site.state.add_event(event(0, label="before"))
    with source(site) as events:
        assert (events.status, events.type.split(";")[0]) == (200, "text/event-stream")
        site.state.add_event(event(1, kind="change", track=1, previous="before"))
        got = events.next()
        site.state.add_event(event(2, kind="leave"))
        assert events.next()["event"] == "leave"
    assert got["event"] == "change"
    assert json.loads(got["data"]) == {
        "stream": "cam1", "t": 0, "kind": "change", "track": 1, "label": "fear",
        "previous": "before", "confidence": 0.5, "number": 2,
    }  # fmt: skip


def test_one_stream_is_chosen_and_one_that_is_not_there_is_waited_for(site: Site) -> None:
    with source(site, "/events?stream=cam9") as events:
        assert events.status == 200
        site.state.add_event(event(0, stream="cam1"))
        site.state.add_event(event(1, stream="cam9"))
        assert json.loads(events.next()["data"])["stream"] == "cam9"


def test_who_comes_back_gets_what_it_missed(site: Site) -> None:
    with source(site) as events:
        site.state.add_event(event(0, label="fear"))
        last = events.next()["id"]
    site.state.add_event(event(1, label="anger"))
    with source(site, last=last) as events:
        assert json.loads(events.next()["data"])["label"] == "anger"
    # An id of another start of the display, or none that it gave: all that is kept is new.
    run = last.partition("-")[0]
    for other in ("1234-7", "nonsense", f"{run}-{'9' * 5_000}"):
        with source(site, last=other) as events:
            assert json.loads(events.next()["data"])["label"] == "fear"


def test_a_client_that_reads_nothing_takes_no_memory_and_holds_nobody_up(site: Site) -> None:
    host, port = site.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as sleeper, source(site) as events:
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sleeper.sendall(f"GET /events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert sleeper.recv(15) == b"HTTP/1.1 200 OK"
        before = psutil.Process().memory_info().rss
        # Some 40 MB of events, of which the last 200 are kept.
        long = "x" * 10_000
        for seq in range(20 * MAX_EVENTS):
            site.state.add_event(event(seq, label=long))
        site.state.add_event(event(0, label="last"))
        until(lambda: json.loads(events.next()["data"])["label"] == "last")
        assert psutil.Process().memory_info().rss - before < 30_000_000


def test_event_streams_end_with_the_display() -> None:
    with serving() as site, source(site) as events:
        threading.Timer(0.2, site.stop.set).start()
        start = time.monotonic()
        assert events.next() == {}
        assert time.monotonic() - start < WAIT


def test_the_description_and_its_page_are_served(site: Site) -> None:
    described = site.get("/api/openapi.json")
    assert described.headers["content-type"] == "application/json"
    assert described.json()["openapi"] == "3.1.0"
    page = site.get("/api")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for path in described.json()["paths"]:
        assert path in page.text
