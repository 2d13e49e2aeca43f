"""Limits on HTTP connections: their number, their duration, and what they send."""

import asyncio
import errno
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger("emostream.http")

# How much a client may send after its answer: enough to read the answer before it finds the
# connection closed.
DISCARDED_BYTES: Final = 256 * 1024
LINGER_S: Final = 1.0
OUT_OF_RESOURCES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
LOG_INTERVAL_S: Final = 60.0
BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\n\r\ntoo many connections; try again later\n"
)


@dataclass(frozen=True)
class HttpLimits:
    """The limits of one server.

    It allows `connections` at a time. A request must be complete within `request_s` seconds after
    the connection or the previous answer. A client may stop reading for `stall_s` seconds at most.
    """

    connections: int
    request_s: float = 10.0
    stall_s: float = 30.0


class GuardedConnection(H11Protocol):
    """A uvicorn connection that is closed if its client is slow or sends too much.

    If there are too many connections, a new one replaces the one that has been idle longest. If
    none is idle, the new one is refused with 503.
    """

    def __init__(self, limits: HttpLimits, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits
        self._waits_since = self.loop.time()
        self._discarded = 0
        self.is_ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, if necessary by replacing an idle one, or refuse it."""
        super().connection_made(transport)
        ending, active = _by_ending(self.connections)
        if len(ending) > self.limits.connections:
            min(ending, key=GuardedConnection.waited_since).transport.abort()
        if len(active) > self.limits.connections:
            # A viewer's WebSocket is never idle.
            waiting = [
                each
                for each in active
                if isinstance(each, GuardedConnection)
                and each.waits_for_client
                and each is not self
            ]
            if waiting:
                min(waiting, key=GuardedConnection.waited_since).transport.abort()
            else:
                self.refuse()

    def data_received(self, data: bytes) -> None:
        """Receive data from the client; after the answer, only a limited amount."""
        if self.is_ending or self._was_answered_early():
            self._discarded += len(data)
            if self._discarded > DISCARDED_BYTES:
                self.transport.abort()
                return
        if not self.is_ending:
            super().data_received(data)

    def on_response_complete(self) -> None:
        """Wait for the next request, after the rest of the body if this one was refused."""
        self._waits_since = self.loop.time()
        self._discarded = 0
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse data that is not HTTP; if an answer is in progress, only close."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()

    @property
    def waits_for_client(self) -> bool:
        """Whether the connection waits for the client: its request is incomplete or not started."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def waited_since(self) -> float:
        """When the connection started to wait for the client, in s on the loop's clock."""
        return self._waits_since

    def close_if_late(self, now: float) -> None:
        """Close the connection if the client took too long for a request."""
        if self.waits_for_client and now - self._waits_since > self.limits.request_s:
            self.transport.abort()

    def refuse(self) -> None:
        """Answer that there are too many connections, and close this one."""
        self.transport.write(BUSY)
        # Closing with unread data would reset the connection and lose the answer.
        self.is_ending = True
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        # TLS has no half-closed connections.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _was_answered_early(self) -> bool:
        """Whether the answer is complete but the body of its request is not."""
        cycle = self.cycle
        return (
            cycle is not None and cycle.response_complete and self.conn.their_state is h11.SEND_BODY
        )


class StalledWrites:
    """Finds connections, including viewers, whose client stopped reading."""

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        # For each connection with pending data: how much at the last check, and since when it has
        # not decreased.
        self._left: dict[asyncio.Transport, tuple[int, float]] = {}

    def abort(self, transports: Iterable[asyncio.Transport], now: float) -> None:
        """Abort connections without progress for `stall_s` seconds. Call this every second."""
        left: dict[asyncio.Transport, tuple[int, float]] = {}
        for transport in transports:
            if size := transport.get_write_buffer_size():
                before, since = self._left.get(transport, (size, now))
                left[transport] = (size, now if size < before else since)
                if now - left[transport][1] > self._stall_s:
                    transport.abort()
        self._left = left


class RepeatFilter(logging.Filter):
    """Lets each log message through once per minute, regardless of its arguments.

    `clock` gives seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._logged: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message was not logged within the last minute."""
        now, message = self._clock(), str(record.msg)
        self._logged = {m: at for m, at in self._logged.items() if now - at < LOG_INTERVAL_S}
        if message in self._logged:
            return False
        self._logged[message] = now
        return True


def log_loop_error(context: dict[str, Any]) -> None:
    """Log an error in an event loop; in one line if file descriptors ran out."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in OUT_OF_RESOURCES:
        log.warning("no new HTTP connection can be taken: %s", error.strerror)
    else:
        log.error("HTTP: %s", context["message"], exc_info=error)


def _by_ending(connections: Iterable[Any]) -> tuple[list[GuardedConnection], list[Any]]:
    """Return the connections that are closing, and all others, including viewers."""
    ending: list[GuardedConnection] = []
    active: list[Any] = []
    for each in connections:
        is_ending = isinstance(each, GuardedConnection) and (
            each.is_ending or each.transport.is_closing()
        )
        (ending if is_ending else active).append(each)
    return ending, active
