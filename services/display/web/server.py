"""The page's web server, and the WebSocket protocol of a viewer."""

from typing import Final

from starlette.types import ASGIApp
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from emostream.shared.http_connections import HttpLimits, log
from emostream.shared.http_server import HttpServer
from emostream.shared.tls import Certificate

# Connections beyond the viewers: opening a page briefly takes six, a program takes one.
OTHER_CONNECTIONS: Final = 128
# A viewer's messages are short; this limits the number of parts, which may be empty.
MAX_FRAGMENTS: Final = 16


class PageServer(HttpServer):
    """Serves the page to `max_viewers` as a context manager; port 0 selects any free port.

    Raises BusError if the address cannot be bound.
    """

    def __init__(
        self,
        who: str,
        host: str,
        port: int,
        application: ASGIApp,
        max_viewers: int = 100,
        certificate: Certificate | None = None,
    ) -> None:
        limits = HttpLimits(max_viewers + OTHER_CONNECTIONS)
        super().__init__(
            who, "page", (host, port), application, limits, ViewerProtocol, certificate
        )


class ViewerProtocol(WebSocketsSansIOProtocol):
    """A uvicorn WebSocket on which clients cannot cause unbounded memory use."""

    async def send(self, message: ASGISendEvent) -> None:
        """Send the application's message; ClientDisconnected if the connection is closed."""
        await self.writable.wait()
        if self.close_sent:
            # The application learns of the end only when it receives the next message.
            raise ClientDisconnected
        await super().send(message)
        # Otherwise uvicorn logs a refused viewer as an application error.
        self.handshake_complete |= self.close_sent

    def handle_ping(self) -> None:
        """Answer a ping, unless the client reads nothing."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_cont(self, event: Frame) -> None:
        """Receive another part of a message, or disconnect a client that sends too many."""
        if self.close_sent:
            return
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        else:
            self._end(CloseCode.POLICY_VIOLATION, "too many parts")

    def send_receive_event_to_app(self) -> None:
        """Pass on a message, or disconnect a client that sends text that is not UTF-8."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self._end(CloseCode.INVALID_DATA, "no UTF-8")
                return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """Close the connection after a protocol violation by the client."""
        log.warning("disconnected a viewer that violates the protocol: %s", self.conn.close_sent)
        super().handle_parser_exception()

    def _end(self, code: CloseCode, reason: str) -> None:
        self.frames = []
        self.conn.fail(code, reason)
        self.handle_parser_exception()
