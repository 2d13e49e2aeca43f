"""HTTPS connections, which are limited from their first byte on, the handshake included."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl

from emostream.shared.http_connections import GuardedConnection, HttpLimits
from emostream.shared.tls import Certificate

# What waits for a client that does not read, beyond what the system holds.
WRITE_BUFFER_BYTES: Final = 64 * 1024


class TlsConnection(GuardedConnection):
    """A connection that is encrypted before anything is read of it.

    With asyncio's own TLS servers, connections that never finish a handshake would not count.
    """

    def __init__(
        self, certificate: Certificate, limits: HttpLimits, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(limits, *args, **kwargs)
        self._certificate = certificate
        self._is_encrypted = False
        self._is_lost = False
        # What came with the end of the handshake.
        self._early = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, and begin the handshake."""
        transport.pause_reading()
        super().connection_made(transport)
        if not transport.is_closing():
            # Kept, since the loop holds tasks weakly.
            self._handshake = self.loop.create_task(self._encrypt(transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; of one that ends in its handshake, asyncio may say so or not."""
        if not self._is_lost:
            self._is_lost = True
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        if self._is_encrypted:
            super().data_received(data)
        else:
            self._early += data

    def shutdown(self) -> None:
        """End with the server: what waits for a request need not wait for the client's goodbye."""
        if self.waits_for_client and not self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().shutdown()

    def refuse(self) -> None:
        """End the connection: before the handshake nothing can be said."""
        self.transport.abort()

    async def _encrypt(self, plain: asyncio.Transport) -> None:
        try:
            transport = await self.loop.start_tls(
                plain,
                self,
                self._certificate.context(),
                server_side=True,
                ssl_handshake_timeout=self.limits.request_s,
                # Until the client has all of an answer, and says that it has.
                ssl_shutdown_timeout=self.limits.stall_s,
            )
        except OSError as error:
            self.connection_lost(error)
            plain.abort()
            return
        # None if it ended meanwhile.
        if self._is_lost or transport is None:
            self.connection_lost(None)
            plain.abort()
            return
        transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self.transport, self.flow, self.scheme = transport, FlowControl(transport), "https"
        self._is_encrypted = True
        if self._early:
            super().data_received(self._early)
