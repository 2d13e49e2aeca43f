"""The page's web server, and the WebSocket of one viewer as it stands on the wire."""

from typing import Final

from starlette.types import ASGIApp
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from emostream.shared.http_connections import HttpLimits, log
from emostream.shared.http_server import HttpServer
from emostream.shared.tls import Certificate

# In addition to the viewers: a page that is opened takes six for a moment, a program one.
OTHER_CONNECTIONS: Final = 128
# A viewer's messages are short; in one of many empty parts only their number would grow.
MAX_FRAGMENTS: Final = 16


class PageServer(HttpServer):
    """Serves the page to `max_viewers` while its context lasts; port 0 is any free one.

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
    """A WebSocket of uvicorn on which a client cannot make anything grow."""

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says; ClientDisconnected where the connection has ended."""
        await self.writable.wait()
        if self.close_sent:
            # The application hears of the end only with the next message that it takes.
            raise ClientDisconnected
        await super().send(message)
        # Else uvicorn logs a viewer that was refused as a mistake of the application.
        self.handshake_complete |= self.close_sent

    def handle_ping(self) -> None:
        """Answer a ping, unless the client takes nothing of what it is sent."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_cont(self, event: Frame) -> None:
        """Take another part of a message, or disconnect one that sends too many."""
        if self.close_sent:
            return
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        else:
            self._end(CloseCode.POLICY_VIOLATION, "too many parts")

    def send_receive_event_to_app(self) -> None:
        """Hand a message on, or disconnect a client that sends a text that is not UTF-8."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self._end(CloseCode.INVALID_DATA, "no UTF-8")
                return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """End the connection, in which the client broke the protocol."""
        log.warning("disconnected a viewer that violates the protocol: %s", self.conn.close_sent)
        super().handle_parser_exception()

    def _end(self, code: CloseCode, reason: str) -> None:
        self.frames = []
        self.conn.fail(code, reason)
        self.handle_parser_exception()
