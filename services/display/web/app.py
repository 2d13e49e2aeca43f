"""The page's routes: its files, settings, the chart library, and one WebSocket per viewer."""

import asyncio
import contextlib
import functools
import gzip
import importlib.metadata
import importlib.resources
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from emostream.services.display.commands import CommandHandler
from emostream.services.display.display_state import DisplayState
from emostream.services.display.face_timeline import HISTORY_NS
from emostream.services.display.status_poller import StatusPoller
from emostream.services.display.update_builder import UpdateBuilder
from emostream.services.display.viewers import ViewerConnection, ViewerPool
from emostream.services.display.web.access import Access
from emostream.services.display.web.api import Api
from emostream.services.display.web.authentication import AuthenticationMiddleware
from emostream.services.display.web.event_stream import event_stream_endpoint
from emostream.services.display.web.security import SecurityMiddleware
from emostream.services.display.web.sign_in import credentials, sign_in_routes
from emostream.services.display.web.viewer_limit import ViewerLimitMiddleware
from emostream.shared.allowed_hosts import AllowedHosts
from emostream.shared.config import Config, Security

PAGE: Final = Path(__file__).parents[1] / "page"
DEFAULTS: Final = Config()
# The buffer for each client that downloads a large file.
CHUNK_BYTES: Final = 64 * 1024


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
    config: Config = DEFAULTS,
) -> Starlette:
    """Return the application that sends the display's state to viewers until `stop` is set.

    From `config`, it uses `allowed_hosts` and `display.max_viewers`.
    """
    updates = UpdateBuilder(display_state, commands, poller, access.needs_token)

    async def live(socket: WebSocket) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            await socket.accept()
            with viewers.connect() as viewer:
                poller.wake()
                async with asyncio.TaskGroup() as tasks:
                    sending = tasks.create_task(_send(socket, viewer, display_state, updates))
                    await _listen(socket, viewer)
                    sending.cancel()
            if socket.client_state is WebSocketState.CONNECTED:
                await socket.close(1008, "not valid")

    return Starlette(
        routes=[
            *Api(updates, commands, poller, access).routes,
            Route("/events", event_stream_endpoint(display_state, stop)),
            Route("/settings.json", functools.partial(_settings, config.security, access)),
            *(sign_in_routes(access) if access.is_guarded else []),
            Route("/plotly.min.js", _charts),
            WebSocketRoute("/live", live),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[
            Middleware(SecurityMiddleware, AllowedHosts(config.allowed_hosts)),
            *([Middleware(AuthenticationMiddleware, access)] if access.is_guarded else []),
            Middleware(ViewerLimitMiddleware, config.display.max_viewers),
        ],
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
            # Labels with colors, and face numbers, are sent before a picture that uses them.
            if now >= due or display_state.has_new_names(revision):
                text, revision = updates.encoded(revision, now)
                await socket.send_text(text)
                due = updates.next_due(now)
            for packet in packets:
                await socket.send_bytes(packet)
    except WebSocketDisconnect:
        return


async def _listen(socket: WebSocket, viewer: ViewerConnection) -> None:
    """Receive the viewer's confirmations until it leaves or sends anything else."""
    while (message := await socket.receive())["type"] == "websocket.receive":
        try:
            confirmation = msgspec.json.decode(message.get("text") or "", type=DrawnPicture)
        except msgspec.DecodeError:
            return
        viewer.confirm(confirmation.shown)


async def _settings(security: Security, access: Access, request: Request) -> Response:
    settings = {
        "history_ms": HISTORY_NS // 10**6,
        "security_disabled": security.is_disabled,
        # The role after sign-in; null if no sign-in is needed.
        "role": access.current_role(credentials(request)) if access.is_guarded else None,
    }
    return Response(msgspec.json.encode(settings), media_type="application/json")


def _charts(request: Request) -> Response:
    etag = f'"plotly-{importlib.metadata.version("plotly")}"'
    headers = {"ETag": etag, "Vary": "Accept-Encoding"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return FileResponse(_charts_file(), headers=headers, media_type="text/javascript")
    packed = _packed_charts()
    headers |= {"Content-Encoding": "gzip", "Content-Length": str(len(packed))}
    return StreamingResponse(_chunks(packed), headers=headers, media_type="text/javascript")


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    """Yield the content in parts, so that a slow client does not hold a copy of all of it."""
    for start in range(0, len(content), CHUNK_BYTES):
        yield content[start : start + CHUNK_BYTES]


@functools.cache
def _packed_charts() -> bytes:
    """Return plotly.js compressed: 1.4 MB instead of 4.8."""
    return gzip.compress(_charts_file().read_bytes(), 6)


def _charts_file() -> Path:
    """Return the path of plotly.js in the package plotly."""
    return Path(str(importlib.resources.files("plotly"))) / "package_data" / "plotly.min.js"
