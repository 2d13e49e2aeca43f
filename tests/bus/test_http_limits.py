"""What clients of the HTTP servers may hold: connections, time, bytes; over real sockets."""

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import httpx2
import psutil
import pytest
from prometheus_client import CollectorRegistry
from websockets.exceptions import ConnectionClosed, InvalidStatus

from emostream.shared.config import Config, Display
from emostream.shared.health import Health
from emostream.shared.http_access import HttpAccess
from emostream.shared.http_connections import HttpLimits, RepeatFilter
from emostream.shared.http_server import HttpServer
from emostream.shared.metrics_server import MetricsServer
from emostream.shared.token_guesses import GUESS_DELAY_S
from tests.bus.site import emotion, serving
from tests.web_access import access

WAIT = 20.0
MB = 1_000_000


async def echo(_: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer with the number of bytes in the body."""
    count, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        count, more = count + len(message["body"]), message["more_body"]
    await answer(send, b"%d" % count)


async def answer(send: Any, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def server(
    application: Any = echo, connections: int = 8, request_s: float = 60.0, stall_s: float = 60.0
) -> Iterator[HttpServer]:
    limits = HttpLimits(connections, request_s, stall_s)
    with HttpServer("display", "page", ("127.0.0.1", 0), application, limits) as running:
        yield running


def connected(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def request(method: str = "GET", path: str = "/", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]
    return "\r\n".join(lines).encode()


def is_closed(client: socket.socket) -> bool:
    """Whether the server has closed the connection; what it sent before is passed over."""
    client.setblocking(False)
    try:
        while client.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read_all(client: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := client.recv(65536):
            got += data
    return got


def read_until(client: socket.socket, end: bytes) -> None:
    got = b""
    while not got.endswith(end):
        data = client.recv(65536)
        assert data, "the connection ended"
        got += data


@contextmanager
def page_port() -> Iterator[int]:
    with serving() as site:
        yield site.server.port


@contextmanager
def metrics_port() -> Iterator[int]:
    with closing(MetricsServer("x", "127.0.0.1", 0, CollectorRegistry(), Health(10))) as metrics:
        yield metrics.port


@pytest.mark.parametrize("opened", [page_port, metrics_port])
def test_idle_connections_keep_nobody_out(opened: Callable[[], Any]) -> None:
    with opened() as port, contextlib.ExitStack() as stack:
        threads = threading.active_count()
        idle = [stack.enter_context(connected(port)) for _ in range(1100)]
        for _ in range(5):
            assert httpx2.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 200
        assert threading.active_count() - threads < 10
        assert sum(map(is_closed, idle)) > 800


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        request("POST", "/", "Content-Length: 1000000"),
        request("POST", "/", "Transfer-Encoding: chunked"),
    ],
)
def test_a_request_that_is_never_whole_is_ended(sent: bytes) -> None:
    with server(request_s=0.5) as running, connected(running.port) as client:
        client.sendall(sent)

        def ends_after_a_byte() -> bool:
            with contextlib.suppress(ConnectionError):
                client.send(b"1")
            return is_closed(client)

        wait_until(ends_after_a_byte)


def test_a_quick_client_keeps_its_connection() -> None:
    with server(request_s=0.5) as running:
        with httpx2.Client(trust_env=False) as client:
            for _ in range(15):
                time.sleep(0.1)
                assert client.post(running.url, content=b"abc").text == "3"
                assert len(running._server.server_state.connections) == 1


@pytest.mark.parametrize("header", [f"Content-Length: {3 * 10**9}", "Transfer-Encoding: chunked"])
def test_a_body_that_is_too_long_is_not_taken(header: str) -> None:
    content = "Content-Type: application/json"
    with serving() as site, connected(site.server.port) as client:
        client.sendall(request("POST", "/api/control", content, header))
        part = bytes(MB)
        chunk = b"%x\r\n%b\r\n" % (MB, part) if "chunked" in header else part
        taken = 0
        with contextlib.suppress(ConnectionError):
            while taken < 200 * MB:
                taken += client.send(chunk)
        assert taken < 50 * MB


def test_a_body_that_is_a_little_too_long_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    content = ("Content-Type: application/json", "Content-Length: 100000")
    with serving() as site, connected(site.server.port) as client:
        client.sendall(request("POST", "/api/control", *content) + bytes(100_000))
        assert b"HTTP/1.1 400" in client.recv(65536)
        assert site.get("/api").status_code == 200
    assert "Traceback" not in caplog.text


def test_a_body_that_comes_after_its_answer_does_not_end_the_connection() -> None:
    async def refuse(_: dict[str, Any], __: Any, send: Any) -> None:
        await answer(send, b"no")

    with server(refuse) as running, connected(running.port) as client:
        for _ in range(3):
            client.sendall(request("POST", "/", "Content-Length: 1000"))
            read_until(client, b"no")
            client.sendall(bytes(1000))
        client.sendall(request("POST", "/", "Content-Length: 1000000"))
        read_until(client, b"no")
        with pytest.raises(ConnectionError):
            client.sendall(bytes(1_000_000))
            assert not client.recv(1)
            client.sendall(bytes(1_000_000))


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"x" * 10**6 + b" HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 10**6,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10**5,
        b"\x16\x03\x01" + bytes(100_000),
    ],
)
def test_what_is_no_request_is_refused(sent: bytes) -> None:
    with server() as running, connected(running.port) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(sent)
        assert read_all(client).startswith((b"HTTP/1.1 400", b""))
        assert httpx2.get(running.url, trust_env=False).status_code == 200


def test_a_body_that_breaks_off_in_nonsense_ends_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving() as site, connected(site.server.port) as client:
        client.sendall(request("GET", "/events", "Transfer-Encoding: chunked"))
        assert b"HTTP/1.1 200" in client.recv(65536)
        client.sendall(b"no number\r\n")
        read_all(client)
    assert "Traceback" not in caplog.text


def test_requests_sent_at_once_are_answered_in_turn() -> None:
    with server() as running, connected(running.port) as client:
        for length in range(300):
            client.sendall(request("POST", "/", f"Content-Length: {length}") + bytes(length))
        client.sendall(request("GET", "/", "Connection: close"))
        bodies = [part.rpartition(b"\r\n\r\n")[2] for part in read_all(client).split(b"HTTP/1.1 ")]
    assert bodies[1:] == [b"%d" % length for length in [*range(300), 0]]


def test_beyond_the_limit_the_answer_is_503_until_a_place_is_free() -> None:
    free = threading.Event()

    async def slow(scope: dict[str, Any], _: Any, send: Any) -> None:
        while scope["path"] == "/slow" and not free.is_set():
            await asyncio.sleep(0.01)
        await answer(send, b"done")

    with server(slow, connections=3) as running, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(running.port)) for _ in range(3)]
        for client in clients:
            client.sendall(request("GET", "/slow", "Connection: close"))
        tasks = running._server.server_state.tasks
        wait_until(lambda: len(tasks) == 3)
        refused = httpx2.get(running.url, trust_env=False)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        free.set()
        assert all(b"done" in read_all(client) for client in clients)
        assert httpx2.get(running.url, trust_env=False).text == "done"


def test_a_client_that_takes_nothing_is_let_go() -> None:
    gone = threading.Event()

    async def endless(_: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        watch = asyncio.create_task(receive())
        while not (watch.done() and watch.result()["type"] == "http.disconnect"):
            await send({"type": "http.response.body", "body": bytes(MB), "more_body": True})
            if watch.done() and watch.result()["type"] == "http.request":
                watch = asyncio.create_task(receive())
            await asyncio.sleep(0)
        gone.set()

    with server(endless, stall_s=1.0) as running, connected(running.port) as client:
        client.sendall(request())
        assert gone.wait(WAIT)


def test_without_files_left_one_line_is_logged_and_waiting_clients_are_served_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with server(connections=50) as running, contextlib.ExitStack() as stack:
        assert httpx2.get(running.url, trust_env=False).status_code == 200
        clients = [stack.enter_context(socket.socket()) for _ in range(20)]
        highest = max(client.fileno() for client in clients)
        fill: list[socket.socket] = []
        while not fill or fill[-1].fileno() < highest:
            fill.append(stack.enter_context(socket.socket()))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        try:
            for client in clients:
                client.settimeout(WAIT)
                client.connect(("127.0.0.1", running.port))
                client.sendall(request("GET", "/", "Connection: close"))
            wait_until(lambda: "no new HTTP connection" in caplog.text)
            time.sleep(1.5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert all(read_all(client).endswith(b"0") for client in clients)
    assert caplog.text.count("\n") == 1


def test_idle_connections_give_way_while_somebody_watches(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving() as site, site.connect(), contextlib.ExitStack() as stack:
        idle = [stack.enter_context(closing(connected(site.server.port))) for _ in range(240)]
        wait_until(lambda: sum(map(is_closed, idle)) >= 10)
        assert site.get("/").status_code == 200
    assert not caplog.records


def test_viewers_beyond_the_limit_are_told_when_to_try_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = Config(display=Display(max_viewers=2))
    with serving(config=config) as site, contextlib.ExitStack() as stack:
        first = stack.enter_context(site.connect())
        stack.enter_context(site.connect())
        with pytest.raises(InvalidStatus) as refused:
            site.connect()
        answers: list[Any] = [refused.value.response, site.get("/events"), site.get("/live")]
        assert [each.status_code for each in answers] == [503] * 3
        assert [each.headers["Retry-After"] for each in answers] == ["10"] * 3
        assert site.get("/").status_code == site.get("/api/state").status_code == 200
        first.close()
        site.wait_for_viewers(1)
        with site.connect() as viewer:
            viewer.recv(timeout=WAIT)
    assert not caplog.records


def websocket(port: int) -> socket.socket:
    """Return an open WebSocket of which nothing was read."""
    client = connected(port)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    key = ("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13")
    client.sendall(request("GET", "/live", "Upgrade: websocket", "Connection: Upgrade", *key))
    assert client.recv(12) == b"HTTP/1.1 101"
    return client


def frame(opcode: int, payload: bytes = b"", is_last: bool = True) -> bytes:
    """Return a short frame of a client, masked with zeros."""
    return bytes([opcode | (0x80 if is_last else 0), 0x80 | len(payload), 0, 0, 0, 0]) + payload


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(frame(9, b"p" * 125), id="pings"),
        pytest.param(frame(0, is_last=False), id="empty parts"),
    ],
)
def test_a_viewer_that_sends_and_never_reads_takes_no_memory(flood: bytes) -> None:
    with serving() as site, websocket(site.server.port) as client:
        client.sendall(frame(1, is_last=False))
        before = psutil.Process().memory_info().rss
        many = flood * (MB // len(flood))
        client.settimeout(2)
        with contextlib.suppress(OSError):
            for _ in range(50):
                client.sendall(many)
        assert psutil.Process().memory_info().rss - before < 15 * MB


def close_code(client: socket.socket) -> int:
    """Return the code with which the server ends a WebSocket, when it has closed it."""
    client.settimeout(WAIT)
    got = b""
    while part := client.recv(65536):
        got += part
    # The last frame: its head, its length, and the code before the reason.
    head = got.rindex(b"\x88")
    return int.from_bytes(got[head + 2 : head + 4])


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(frame(1, b"\xff\xfe"), 1007, id="no UTF-8"),
        pytest.param(frame(1, b"\xe2", is_last=False) + frame(0, b"("), 1007, id="in parts"),
        pytest.param(frame(1, b"\xff") * 3 + frame(2, b"x"), 1007, id="and more"),
        pytest.param(frame(1, b'"no"') + frame(1, b"\xff"), 1007, id="after a wrong message"),
        pytest.param(frame(8, b"\x03\xe8\xff"), 1007, id="reason of a close"),
        pytest.param(frame(8, b"\x03"), 1002, id="half a close code"),
        pytest.param(frame(3, b"abc"), 1002, id="unknown kind"),
        pytest.param(frame(0, b"abc"), 1002, id="part of nothing"),
        pytest.param(b"\x81\x03abc", 1002, id="not masked"),
        pytest.param(b"\x81\xff" + b"\xff" * 12, 1009, id="16 EiB"),
        pytest.param(frame(1, is_last=False) + frame(0, is_last=False) * 40, 1008, id="many parts"),
    ],
)
def test_a_viewer_that_breaks_the_protocol_is_told_so_in_one_line(
    sent: bytes, code: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(RepeatFilter, "filter", lambda *_: True)
    with serving() as site:
        with closing(websocket(site.server.port)) as client:
            client.sendall(sent)
            assert close_code(client) == code
        site.wait_for_viewers(0)
        with site.connect() as viewer:
            viewer.recv(timeout=WAIT)
    (record,) = caplog.records
    assert f"violates the protocol: {code} " in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize("sent", [b"", frame(1, b"abc")[:3]], ids=["between", "within"])
def test_a_viewer_that_only_stops_sending_is_let_go(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with serving() as site, closing(websocket(site.server.port)) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(WAIT)
        while client.recv(65536):
            pass
        site.wait_for_viewers(0)
    assert not caplog.records


def test_a_viewer_s_long_message_ends_its_connection() -> None:
    with serving() as site, site.connect() as viewer:
        viewer.send("x" * 2000)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                viewer.recv(timeout=WAIT)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_a_wrong_token_waits_for_its_answer_and_a_right_one_does_not() -> None:
    command = '{"stream": "cam1", "command": "record", "arguments": {"on": true}}'
    with serving(access("sesame")) as site, ThreadPoolExecutor() as pool:
        site.state.add_results(emotion("fear"))
        start = time.monotonic()
        wrong = pool.submit(site.post, command, authorization="Bearer wrong")
        wait_until(lambda: len(site.server._server.server_state.tasks) == 1)
        assert site.post(command, authorization="Bearer sesame").status_code == 202
        assert not wrong.done()
        assert wrong.result().status_code == 401
        assert time.monotonic() - start >= GUESS_DELAY_S
        guesses = [pool.submit(site.post, command, authorization="Bearer x") for _ in range(20)]
        codes = {guess.result().status_code for guess in guesses}
    assert codes == {401, 429}


def test_metrics_are_read_by_the_names_that_are_allowed() -> None:
    def status(port: int, host: str, path: str = "/livez") -> int:
        url = f"http://127.0.0.1:{port}{path}"
        return httpx2.get(url, headers={"host": host}, trust_env=False).status_code

    def metrics(*names: str) -> closing[MetricsServer]:
        health, allowed = Health(10), HttpAccess({}, allowed_hosts=names)
        server = MetricsServer("x", "127.0.0.1", 0, CollectorRegistry(), health, allowed)
        server.serve_json("/sources", list)
        return closing(server)

    with metrics() as plain, metrics("stage.example") as named:
        for host in ("127.0.0.1:9101", "[::1]:9101", "192.0.2.7", "capture:9101", "localhost"):
            assert status(plain.port, host) == 200, host
        assert status(plain.port, "stage.example:9101") == 403
        assert status(plain.port, "stage.example:9101", "/sources") == 403
        assert status(plain.port, "127.0.0.1:9101", "/sources") == 200
        assert status(named.port, "Stage.Example:9101") == 200
        assert status(named.port, "other.example") == 403
