"""HTTPS connections with limits from the first byte on, including the handshake."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl

from emostream.shared.http_connections import GuardedConnection, HttpLimits
from emostream.shared.tls import Certificate

# How much is buffered for a client that does not read, in addition to kernel buffers.
WRITE_BUFFER_BYTES: Final = 64 * 1024


class TlsConnection(GuardedConnection):
    """A connection that is encrypted before anything is read from it.

    asyncio's own TLS servers do not count connections that never finish the handshake.
    """

    def __init__(
        self, certificate: Certificate, limits: HttpLimits, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(limits, *args, **kwargs)
        self._certificate = certificate
        self._is_encrypted = False
        self._is_lost = False
        # Data that arrived with the end of the handshake.
        self._early = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection and start the handshake."""
        transport.pause_reading()
        super().connection_made(transport)
        if not transport.is_closing():
            # Kept, since the loop holds tasks weakly.
            self._handshake = self.loop.create_task(self._encrypt(transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; asyncio may or may not call this for an aborted handshake."""
        if not self._is_lost:
            self._is_lost = True
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Receive data from the client."""
        if self._is_encrypted:
            super().data_received(data)
        else:
            self._early += data

    def shutdown(self) -> None:
        """Close with the server: an idle connection need not wait for the client's TLS close."""
        if self.waits_for_client and not self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().shutdown()

    def refuse(self) -> None:
        """Close the connection: nothing can be sent before the handshake."""
        self.transport.abort()

    async def _encrypt(self, plain: asyncio.Transport) -> None:
        try:
            transport = await self.loop.start_tls(
                plain,
                self,
                self._certificate.context(),
                server_side=True,
                ssl_handshake_timeout=self.limits.request_s,
                # Until the client has received the whole answer and confirmed it.
                ssl_shutdown_timeout=self.limits.stall_s,
            )
        except OSError as error:
            self.connection_lost(error)
            plain.abort()
            return
        # None if it closed in the meantime.
        if self._is_lost or transport is None:
            self.connection_lost(None)
            plain.abort()
            return
        transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self.transport, self.flow, self.scheme = transport, FlowControl(transport), "https"
        self._is_encrypted = True
        if self._early:
            super().data_received(self._early)
