"""The page's routes: its files, its settings, the chart library, and a WebSocket a viewer."""

import asyncio
import functools
import gzip
import importlib.metadata
import importlib.resources
import threading
from pathlib import Path
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from emostream.services.display.access import Access
from emostream.services.display.api import Api
from emostream.services.display.audience import Audience, Viewer
from emostream.services.display.board import Board
from emostream.services.display.controls import Controls
from emostream.services.display.events import event_source
from emostream.services.display.guard import Guard
from emostream.services.display.newsroom import Newsroom
from emostream.services.display.timeline import HISTORY_NS
from emostream.services.display.watch import Watch

PAGE: Final = Path(__file__).parent / "page"


class Shown(msgspec.Struct, forbid_unknown_fields=True):
    """A browser's confirmation that it has drawn a picture of the stream."""

    shown: str


def application(
    audience: Audience,
    board: Board,
    controls: Controls,
    watch: Watch,
    access: Access,
    stop: threading.Event,
) -> Starlette:
    """Return the application that shows the audience what is on the board, until `stop` is set."""
    newsroom = Newsroom(board, controls, watch, access.needs_token)

    async def live(socket: WebSocket) -> None:
        await socket.accept()
        with audience.admit() as viewer:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(_send(socket, viewer, board, newsroom))
                await _listen(socket, viewer)
                sending.cancel()

    return Starlette(
        routes=[
            *Api(board, newsroom, controls, watch, access).routes,
            Route("/events", event_source(board, stop)),
            Route("/settings.json", _settings),
            Route("/plotly.min.js", _charts),
            WebSocketRoute("/live", live),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[Middleware(Guard)],
    )


async def _send(socket: WebSocket, viewer: Viewer, board: Board, newsroom: Newsroom) -> None:
    clock = asyncio.get_running_loop().time
    revision, due = 0, 0.0
    try:
        while True:
            packets = await viewer.next(due - clock())
            now = clock()
            # A picture's labels are told before it, with their colours.
            if now >= due or board.has_new_labels(revision):
                text, revision = newsroom.edition(revision, now)
                await socket.send_text(text)
                due = newsroom.due(now)
            for packet in packets:
                await socket.send_bytes(packet)
    except WebSocketDisconnect:
        return


async def _listen(socket: WebSocket, viewer: Viewer) -> None:
    """Take the viewer's confirmations until it goes; one that sends anything else is sent away."""
    while (message := await socket.receive())["type"] == "websocket.receive":
        try:
            shown = msgspec.json.decode(message.get("text") or "", type=Shown)
        except msgspec.DecodeError:
            await socket.close(1008, "not understood")
            return
        viewer.confirm(shown.shown)


def _settings(_: Request) -> Response:
    settings = {"history_ms": HISTORY_NS // 10**6}
    return Response(msgspec.json.encode(settings), media_type="application/json")


def _charts(request: Request) -> Response:
    etag = f'"plotly-{importlib.metadata.version("plotly")}"'
    headers = {"ETag": etag, "Vary": "Accept-Encoding"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    packed = _packed_charts()
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(gzip.decompress(packed), headers=headers, media_type="text/javascript")
    headers["Content-Encoding"] = "gzip"
    return Response(packed, headers=headers, media_type="text/javascript")


@functools.cache
def _packed_charts() -> bytes:
    """Return plotly.js, which the package plotly carries; packed, 1.4 MB in place of 4.8."""
    script = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    return gzip.compress(script.read_bytes(), 6)
