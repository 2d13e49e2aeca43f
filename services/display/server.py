"""The web server: the page, its chart library, and a WebSocket for each viewer."""

import asyncio
import contextlib
import importlib.util
import json
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from models.labels import LABELS
from services.display.hub import Hub, Viewer
from shared.annotate import COLORS
from shared.bus import is_loopback
from shared.errors import BusError

PAGE: Final = Path(__file__).parent / "page"
STOP_WITHIN: Final = 2.0
# Plotly writes its own style elements; everything else comes from this server.
POLICY: Final = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


def application(hub: Hub, host: str) -> Starlette:
    """Return the application for a server bound to `host`.

    On loopback only requests to a loopback name are answered, so that no other site can reach the
    page through a name of its own (DNS rebinding).
    """
    names = ["127.0.0.1", "localhost", "[::1]"] if is_loopback(host) else ["*"]

    async def watch(websocket: WebSocket) -> None:
        await _watch(hub, websocket)

    return Starlette(
        routes=[
            Route("/", lambda _: FileResponse(PAGE / "index.html")),
            Route("/settings.json", lambda _: JSONResponse({"labels": LABELS, "colors": COLORS})),
            Route("/plotly.min.js", lambda _: FileResponse(plotly_script())),
            WebSocketRoute("/ws", watch),
            Mount("/page", StaticFiles(directory=PAGE)),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=names),
            Middleware(SecurityHeaders),
        ],
    )


def plotly_script() -> Path:
    """Return the path of plotly.js, which the plotly package carries, without importing that."""
    spec = importlib.util.find_spec("plotly")
    assert spec and spec.origin
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


class SecurityHeaders:
    """Adds the content security policy to every answer, and has pages asked for anew."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add to its answer."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Cache-Control"] = "no-cache"
            await send(message)

        await self._app(scope, receive, add)


async def _watch(hub: Hub, websocket: WebSocket) -> None:
    origin = websocket.headers.get("origin", "")
    if origin.partition("://")[2] != websocket.headers.get("host"):
        await websocket.close(1008)
        return
    await websocket.accept()
    viewer = hub.join()
    try:
        await _first_to_end(_send(websocket, viewer), _listen(websocket, viewer))
    finally:
        hub.leave(viewer)


async def _send(websocket: WebSocket, viewer: Viewer) -> None:
    async for content in viewer.waiting():
        if isinstance(content, bytes):
            await websocket.send_bytes(content)
        else:
            await websocket.send_text(content)


async def _listen(websocket: WebSocket, viewer: Viewer) -> None:
    async for text in websocket.iter_text():
        with contextlib.suppress(ValueError, AttributeError):
            viewer.visible = bool(json.loads(text).get("visible", True))


async def _first_to_end(*jobs: Awaitable[None]) -> None:
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with contextlib.suppress(WebSocketDisconnect):
                task.result()
    finally:
        for task in tasks:
            task.cancel()


class Server:
    """Serves the page on a thread of its own until closed.

    Raises BusError where the address cannot be bound.
    """

    def __init__(self, hub: Hub, host: str, port: int, who: str = "display") -> None:
        self._socket = _bound(host, port, who)
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                application(hub, host),
                ws="websockets-sansio",
                lifespan="off",
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        run: Callable[[], None] = lambda: self._server.run(sockets=[self._socket])  # noqa: E731
        self._thread = threading.Thread(target=run, name="page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close all connections and stop."""
        self._server.should_exit = True
        self._thread.join(STOP_WITHIN)
        self._socket.close()


def _bound(host: str, port: int, who: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host.strip("[]"), port))
    except OSError as error:
        bound.close()
        raise BusError(
            f"{who} cannot serve the page on {host}:{port}: {error.strerror}. Stop the program "
            "that has the port (another emostream?), or start this one with --instance 1"
        ) from error
    return bound
