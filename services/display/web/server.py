"""The page's web server, on a thread of its own."""

import asyncio
import socket
import threading
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from emostream.shared.errors import BusError

STOP_WITHIN_S = 2.0


class PageServer:
    """Serves an application on `host:port` while its context lasts; port 0 is any free one.

    Raises BusError where the address cannot be bound.
    """

    def __init__(self, who: str, host: str, port: int, application: ASGIApp) -> None:
        self._socket = _bind(who, host.strip("[]"), port)
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                ws="websockets-sansio",
                # JPEGs do not shrink any more, and to try it costs more than all else here.
                ws_per_message_deflate=False,
                ws_max_size=65536,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="page", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_WITHIN_S)
        self._socket.close()

    @property
    def alive(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive()

    def _serve(self) -> None:
        # Off the main thread uvicorn leaves the signals alone.
        asyncio.run(self._server.serve(sockets=[self._socket]))


def _bind(who: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        # From here on a browser may come; it is answered as soon as the thread runs.
        bound.listen()
    except OSError as error:
        bound.close()
        raise BusError(
            f"{who} cannot serve its page on {host}:{port}: {error.strerror}. Stop the program "
            f"that has the port (another emostream?), or set {who}.page to another"
        ) from error
    return bound
