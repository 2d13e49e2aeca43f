"""An HTTP server on its own thread, for the metrics of each stage and for the page."""

import asyncio
import functools
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any, Final, Self

import uvicorn

from emostream.shared.errors import BusError
from emostream.shared.http_connections import (
    GuardedConnection,
    HttpLimits,
    RepeatFilter,
    StalledWrites,
    log,
    log_loop_error,
)
from emostream.shared.http_tls import TlsConnection
from emostream.shared.open_files import open_files_limit
from emostream.shared.tls import Certificate

STOP_WITHIN_S: Final = 2.0
# The accept queue; beyond it, a client retries only after a second.
BACKLOG: Final = 1024
# asyncio accepts this many before it handles any; few enough that file descriptors suffice.
ACCEPTED_AT_ONCE: Final = 32
# Browsers send the cookies of all servers on this machine to each of them.
HEADER_BYTES: Final = 32 * 1024
_repeats = RepeatFilter()


class HttpServer:
    """Serves an ASGI application as a context manager; port 0 selects any free port.

    `who` and `what` name its setting, `who.what`, in errors. `websocket` is uvicorn's protocol
    class for WebSockets, None to refuse them. With a `certificate` it serves HTTPS. Raises BusError
    if the address cannot be bound.
    """

    def __init__(
        self,
        who: str,
        what: str,
        address: tuple[str, int],
        application: Any,
        limits: HttpLimits,
        websocket: type[asyncio.Protocol] | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self._what = what
        self._socket = _listening(who, what, *address)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"{'https' if certificate else 'http'}://{address[0]}:{self.port}"
        # Leave file descriptors for other uses and for closing connections.
        limit = max(1, min(limits.connections, open_files_limit() // 4))
        limits = HttpLimits(limit, limits.request_s, limits.stall_s)
        self._stalled = StalledWrites(limits.stall_s)
        self._certificate = certificate
        protocol: Callable[..., GuardedConnection] = functools.partial(GuardedConnection, limits)
        if certificate:
            protocol = functools.partial(TlsConnection, certificate, limits)
        self._server = _Server(
            uvicorn.Config(
                application,
                interface="asgi3",
                http=protocol,  # type: ignore[arg-type]
                h11_max_incomplete_event_size=HEADER_BYTES,
                ws=websocket or "none",
                # JPEGs cannot be compressed further, and trying costs more than everything else
                # here.
                ws_per_message_deflate=False,
                ws_max_size=1024,
                callback_notify=self._sweep,
                timeout_notify=1,
                backlog=ACCEPTED_AT_ONCE,
                # Otherwise any user of this machine could claim any client address.
                proxy_headers=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        for logger in (log, logging.getLogger("uvicorn.error")):
            logger.addFilter(_repeats)
        self._thread = threading.Thread(target=self._serve, name=what, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_WITHIN_S)
        self._socket.close()

    @property
    def alive(self) -> bool:
        """Whether the server is running."""
        return self._thread.is_alive()

    def _serve(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._log_error)
        # Outside the main thread, uvicorn does not handle signals.
        await self._server.serve(sockets=[self._socket])

    def _log_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # While it stops, asyncio may still try to accept on the closed socket.
        if not self._server.should_exit:
            log_loop_error(context)

    async def _sweep(self) -> None:
        if self._certificate:
            # A failed renewal is logged when it happens.
            self._certificate.context()
        now = asyncio.get_running_loop().time()
        connections = list(self._server.server_state.connections)
        for connection in connections:
            if isinstance(connection, GuardedConnection):
                connection.close_if_late(now)
        self._stalled.abort([connection.transport for connection in connections], now)


class _Server(uvicorn.Server):
    """A server with a longer accept queue than its accept batch."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections."""
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(BACKLOG)


def _listening(who: str, what: str, host: str, port: int) -> socket.socket:
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        # From here on clients may connect; they are answered as soon as the thread runs.
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise BusError(
            f"{who} cannot serve its {what} on {host}:{port}: {error.strerror}. Stop the program "
            f"that uses the port (another emostream?), or set {who}.{what} to another"
        ) from error
    return bound
