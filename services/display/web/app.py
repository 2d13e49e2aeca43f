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

from emostream.services.display.commands import CommandHandler
from emostream.services.display.display_state import DisplayState
from emostream.services.display.face_timeline import HISTORY_NS
from emostream.services.display.status_poller import StatusPoller
from emostream.services.display.update_builder import UpdateBuilder
from emostream.services.display.viewers import ViewerConnection, ViewerPool
from emostream.services.display.web.access import Access
from emostream.services.display.web.api import Api
from emostream.services.display.web.event_stream import event_stream_endpoint
from emostream.services.display.web.security import SecurityMiddleware

PAGE: Final = Path(__file__).parents[1] / "page"


class DrawnPicture(msgspec.Struct, forbid_unknown_fields=True):
    """A browser's confirmation that it has drawn a picture of the stream."""

    shown: str


def application(
    viewers: ViewerPool,
    display_state: DisplayState,
    commands: CommandHandler,
    poller: StatusPoller,
    access: Access,
    stop: threading.Event,
) -> Starlette:
    """Return the application that sends the viewers the display's state, until `stop` is set."""
    updates = UpdateBuilder(display_state, commands, poller, access.needs_token)

    async def live(socket: WebSocket) -> None:
        await socket.accept()
        with viewers.connect() as viewer:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(_send(socket, viewer, display_state, updates))
                await _listen(socket, viewer)
                sending.cancel()

    return Starlette(
        routes=[
            *Api(display_state, updates, commands, poller, access).routes,
            Route("/events", event_stream_endpoint(display_state, stop)),
            Route("/settings.json", _settings),
            Route("/plotly.min.js", _charts),
            WebSocketRoute("/live", live),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[Middleware(SecurityMiddleware)],
    )


async def _send(
    socket: WebSocket, viewer: ViewerConnection, display_state: DisplayState, updates: UpdateBuilder
) -> None:
    clock = asyncio.get_running_loop().time
    revision, due = 0, 0.0
    try:
        while True:
            packets = await viewer.next_packets(due - clock())
            now = clock()
            # A picture's labels are sent before it, with their colors.
            if now >= due or display_state.has_new_labels(revision):
                text, revision = updates.encoded(revision, now)
                await socket.send_text(text)
                due = updates.next_due(now)
            for packet in packets:
                await socket.send_bytes(packet)
    except WebSocketDisconnect:
        return


async def _listen(socket: WebSocket, viewer: ViewerConnection) -> None:
    """Take the viewer's confirmations until it leaves; disconnect one that sends anything else."""
    while (message := await socket.receive())["type"] == "websocket.receive":
        try:
            confirmation = msgspec.json.decode(message.get("text") or "", type=DrawnPicture)
        except msgspec.DecodeError:
            await socket.close(1008, "not understood")
            return
        viewer.confirm(confirmation.shown)


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
    """Return plotly.js, which the package plotly carries; packed, 1.4 MB instead of 4.8."""
    script = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    return gzip.compress(script.read_bytes(), 6)
