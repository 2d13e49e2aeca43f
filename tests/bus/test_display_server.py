"""The page's server as a browser meets it, over real sockets."""

import json
import re
import socket
import time
from collections.abc import Iterator

import pytest
from starlette.responses import PlainTextResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from emostream.services.display.viewers import MAX_IN_FLIGHT
from emostream.services.display.web.app import PAGE
from emostream.services.display.web.server import PageServer
from emostream.shared.colors import colors
from emostream.shared.config import Config, Security
from emostream.shared.config.schema import SecurityMode
from emostream.shared.errors import BusError
from tests.builders import event
from tests.bus.site import Site, emotion, serving

EVENT = event()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


def test_the_page_and_all_that_it_needs_come_from_this_server(site: Site) -> None:
    page = site.get("/")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    wanted += [file.name for file in PAGE.glob("*.js")]
    for path in wanted:
        assert site.get(f"/{path}").status_code == 200, path
    for file in PAGE.iterdir():
        assert not re.search(r"(src|href|url|from|import)\W{1,3}(https?:)?//", file.read_text())


@pytest.mark.parametrize("mode", ["auto", "disabled"])
def test_the_page_is_told_where_security_is_disabled(mode: SecurityMode) -> None:
    with serving(config=Config(security=Security(mode=mode))) as site:
        assert site.get("/settings.json").json()["security_disabled"] == (mode == "disabled")


def test_the_chart_library_is_sent_packed_and_only_once(site: Site) -> None:
    answer = site.get("/plotly.min.js")
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < 2_000_000 < len(answer.content)
    assert answer.content == site.get("/plotly.min.js", **{"accept-encoding": "identity"}).content
    again = site.get("/plotly.min.js", **{"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_viewer_is_told_of_labels_before_the_first_picture_with_them(site: Site) -> None:
    with site.connect() as viewer:
        assert json.loads(viewer.recv(timeout=10))["labels"] == []
        site.state.add_results(emotion("awake", "happy"))
        site.pool.offer("cam1", b"picture")
        while (
            isinstance(update := viewer.recv(timeout=10), str) and not json.loads(update)["labels"]
        ):
            pass
        styles = json.loads(update)["labels"]
        while isinstance(picture := viewer.recv(timeout=10), str):
            assert json.loads(picture)["labels"] == [], "what is known is not told again"
    assert picture == b"picture"
    assert [look["label"] for look in styles] == ["awake", "happy"]
    assert [look["color"] for look in styles] == list(colors(("awake", "happy")).values())
    assert {look["ink"] for look in styles} <= {"#000000", "#ffffff"}


@pytest.mark.parametrize("path", ["/../app.py", "/%2e%2e/app.py", "/nothing.js", "/page/"])
def test_nothing_else_is_served(site: Site, path: str) -> None:
    assert site.get(path).status_code == 404


def test_another_name_for_this_host_is_not_answered(site: Site) -> None:
    assert site.get("/", host="rebound.example").status_code == 403
    assert site.get("/", host="localhost:1234").status_code == 200


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://127.0.0.1:1", "null"])
def test_a_page_from_elsewhere_cannot_watch(site: Site, origin: str) -> None:
    with pytest.raises(InvalidStatus):
        site.connect(origin)
    with site.connect(site.server.url) as viewer:
        assert json.loads(viewer.recv(timeout=10))["complete"]


def test_a_viewer_gets_the_past_first_and_then_what_is_new(site: Site) -> None:
    site.state.add_event(EVENT)
    with site.connect() as viewer:
        first = json.loads(viewer.recv(timeout=10))
        assert first["complete"]
        assert [event["label"] for event in first["events"]] == ["fear"]
        second = json.loads(viewer.recv(timeout=10))
        assert not second["complete"]
        assert second["events"] == []
        site.wait_for_viewers(1)
    site.wait_for_viewers(0)


def pictures(viewer: ClientConnection, count: int) -> list[bytes]:
    got: list[bytes] = []
    while len(got) < count:
        message = viewer.recv(timeout=10)
        if isinstance(message, bytes):
            got.append(message)
    return got


def test_pictures_go_out_as_they_are_confirmed(site: Site) -> None:
    with site.connect() as viewer:
        site.wait_for_viewers(1)
        for number in range(MAX_IN_FLIGHT):
            site.pool.offer("cam1", b"%d" % number)
            assert pictures(viewer, 1) == [b"%d" % number]
        assert not site.pool.has_capacity("cam1")
        site.pool.offer("cam1", b"older")
        site.pool.offer("cam1", b"newest")
        viewer.send('{"shown": "cam1"}')
        assert pictures(viewer, 1) == [b"newest"]


def test_a_viewer_that_reads_nothing_holds_no_other_up(site: Site) -> None:
    with site.connect(), site.connect() as viewer:
        site.wait_for_viewers(2)
        for number in range(100):
            # More than all buffers on the way to the one that sleeps can hold.
            site.pool.offer("cam1", b"%d " % number + bytes(500_000))
            (got,) = pictures(viewer, 1)
            assert got.startswith(b"%d " % number)
            viewer.send('{"shown": "cam1"}')


@pytest.mark.parametrize("message", ["no JSON", '{"shown": 7}', '{"delete": "all"}', b"\x00"])
def test_a_viewer_that_says_something_else_is_sent_away(site: Site, message: str | bytes) -> None:
    with site.connect() as viewer:
        viewer.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                viewer.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_it_stops_at_once_with_viewers_connected(site: Site) -> None:
    with site.connect() as one, site.connect():
        site.wait_for_viewers(2)
        start = time.monotonic()
        site.server.__exit__()
        assert time.monotonic() - start < 2
        assert not site.server.alive
        with pytest.raises(ConnectionClosed):
            while True:
                one.recv(timeout=10)


def test_a_port_in_use_is_named_with_who_asks() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BusError, match=rf"display .*127\.0\.0\.1:{port}.*in use"):
            PageServer("display", "127.0.0.1", port, PlainTextResponse(""))
