"""Requests from programs and browsers, passed to the page's application in process."""

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message

from emostream.services.display.commands import CommandHandler
from emostream.services.display.display_state import DisplayState
from emostream.services.display.metrics import DisplayMetrics
from emostream.services.display.status_poller import StatusPoller
from emostream.services.display.viewers import ViewerPool
from emostream.services.display.web.access import Access
from emostream.services.display.web.app import application
from emostream.shared.control import StreamSwitch
from emostream.shared.http_access import HttpAccess
from emostream.shared.token_files import Role

TOKEN = "secret"
PATHS = ("/api/control", "/api/state", "/api", "/settings.json", "/api/openapi.json", "/nothing")
SEPARATOR = b"\0"
# The kind of request, then its content.
HTTP_SEEDS = (
    b'c{"stream": "cam1", "command": "blur", "arguments": {"on": true}}',
    b'c{"stream": "cam1", "command": "record", "arguments": {"on": false}}',
    b'w{"shown": "cam1"}\0{"shown": 1}\0nothing',
    b"hBearer secret\0application/json\0http://localhost:8080\0localhost:8080\0{}",
    b"g\x01",
    b"p/../page/index.html",
)


def call_http(data: bytes) -> None:
    """Send a request: its status must be below 500, and the application must continue.

    The first byte is the kind of the rest: the body of a command (c), its headers (h), a viewer's
    messages (w), one of PATHS (g), or a path (p).
    """
    kind, rest = data[:1], data[1:]
    parts = rest.split(SEPARATOR)
    if kind == b"w":
        _loop().run_until_complete(_view(parts[:20]))
        return
    method, path, headers, body = "GET", "/api/state", _headers(), b""
    match kind:
        case b"h":
            authorization, content_type, origin, host, body = (parts + [b""] * 5)[:5]
            method, path = "POST", PATHS[0]
            headers = _headers(authorization, content_type, host, origin)
        case b"g":
            path = PATHS[rest[0] % len(PATHS)] if rest else "/"
        case b"p":
            path = "/" + rest.decode("latin-1")
        case _:
            method, path, body = "POST", PATHS[0], rest
    status = _loop().run_until_complete(_request(method, path, headers, body))
    assert 200 <= status < 500, f"{method} {path!r} was answered with {status}"


def _headers(
    authorization: bytes = f"Bearer {TOKEN}".encode(),
    content_type: bytes = b"application/json",
    host: bytes = b"localhost:8080",
    *origin: bytes,
) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"host", host),
        (b"authorization", authorization),
        (b"content-type", content_type),
    ]
    return headers + [(b"origin", value) for value in origin]


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@functools.cache
def _application() -> ASGIApp:
    metrics = DisplayMetrics(CollectorRegistry())
    state = DisplayState()
    state.mark_ended("cam1")
    viewers = ViewerPool(metrics.count_skipped, metrics.viewers.set)
    poller = StatusPoller({}, lambda: False)
    poller.wait = lambda timeout: None  # type: ignore[method-assign]
    commands = CommandHandler(StreamSwitch(False))
    return application(viewers, state, commands, poller, _access(), threading.Event())


def _access() -> Access:
    return Access(HttpAccess({Role.OPERATOR: lambda: TOKEN}))


async def _request(method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    scope = _scope("http", path, headers) | {"method": method, "query_string": b""}
    chunks = [body[:16], body[16:]]
    sent: list[Message] = []

    async def receive() -> Message:
        if not chunks:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    await _application()(scope, receive, _appending(sent))
    starts = [message["status"] for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1, "not one answer"
    return int(starts[0])


async def _view(words: list[bytes]) -> None:
    scope = _scope("websocket", "/live", _headers()) | {"query_string": b"", "subprotocols": []}
    left = [
        {"type": "websocket.receive", "text": word.decode("utf-8", "replace")}
        if index % 2 == 0
        else {"type": "websocket.receive", "bytes": word}
        for index, word in enumerate(words)
    ]
    messages: list[Message] = [
        {"type": "websocket.connect"}, *left, {"type": "websocket.disconnect", "code": 1000},
    ]  # fmt: skip
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "websocket.disconnect", "code": 1000}

    await _application()(scope, receive, _appending(sent))
    assert sent[0]["type"] == "websocket.accept"


def _appending(sent: list[Message]) -> Callable[[Message], Any]:
    async def send(message: Message) -> None:
        sent.append(message)

    return send


def _scope(kind: str, path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode("latin-1", "replace"),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 8080),
    }
