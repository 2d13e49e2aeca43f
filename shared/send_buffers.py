"""Limits the kernel's send buffers for remote subscribers by the rate of their links."""

import contextlib
import fcntl
import ipaddress
import os
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emostream.shared.addresses import TCP, is_loopback

LOOK_EVERY_S: Final = 0.25
DESCRIPTORS: Final = Path("/proc/self/fd")
# Linux: the ioctl for unacknowledged bytes, and the offset of tcpi_bytes_acked in TCP_INFO.
SIOCOUTQ: Final = 0x5411
BYTES_ACKED: Final = struct.Struct("120xQ")
# The kernel has a minimum, and doubles the given value. A connection starts with FIRST_BYTES, so
# that it does not fill a slow link's own queue before its rate is known.
LEAST_BYTES: Final = 2_304
FIRST_BYTES: Final = 8_192
MOST_BYTES: Final = 1 << 22
# The weight of the newest measurement in a link's rate.
WEIGHT: Final = 0.5


@dataclass
class _Connection:
    """A subscriber's connection: `limit` in bytes, `rate` in bytes/s while there is a queue."""

    peer: object
    acked: int
    looked: float
    limit: int = FIRST_BYTES
    rate: float | None = None


class SendBuffers:
    """Limits the kernel's queue for each subscriber to what its link carries in `longest` s.

    By default, Linux buffers as much as a fast connection needs: on a slow link, that is seconds of
    old frames. A buffer grows while its connection keeps up, and is cut to the link's rate when it
    does not. `endpoints` are those of the publishers; loopback endpoints and connections from this
    host are left alone. Does nothing on systems other than Linux. Times are s on the steady
    `clock`.
    """

    def __init__(
        self,
        endpoints: Iterable[str],
        longest: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        matches = map(TCP.fullmatch, endpoints)
        self._ports = {
            int(match["port"]) for match in matches if match and not is_loopback(match["host"])
        }
        self._longest = longest
        self._clock = clock
        self._due = float("-inf")
        self._connections: dict[int, _Connection] = {}

    def adjust(self) -> None:
        """Adjust all connections, if it is time to."""
        now = self._clock()
        if now < self._due or not self._ports or not DESCRIPTORS.exists():
            return
        self._due = now + LOOK_EVERY_S
        seen: dict[int, _Connection] = {}
        for descriptor, connection in self._accepted():
            with connection, contextlib.suppress(OSError):
                seen[descriptor] = self._adjusted(descriptor, connection, now)
        self._connections = seen

    def _accepted(self) -> Iterator[tuple[int, socket.socket]]:
        """Yield a duplicate of each remote connection's socket, with the original's descriptor."""
        for path in DESCRIPTORS.iterdir():
            # Another thread may open and close sockets at the same time.
            with contextlib.suppress(OSError):
                if not stat.S_ISSOCK(os.fstat(int(path.name)).st_mode):
                    continue
                with contextlib.ExitStack() as unless_wanted:
                    copy = socket.socket(fileno=os.dup(int(path.name)))
                    unless_wanted.callback(copy.close)
                    if self._is_wanted(copy):
                        unless_wanted.pop_all()
                        yield int(path.name), copy

    def _is_wanted(self, copy: socket.socket) -> bool:
        if copy.family not in (socket.AF_INET, socket.AF_INET6) or copy.type != socket.SOCK_STREAM:
            return False
        host = copy.getpeername()[0].partition("%")[0].removeprefix("::ffff:")
        return copy.getsockname()[1] in self._ports and not ipaddress.ip_address(host).is_loopback

    def _adjusted(self, number: int, connection: socket.socket, now: float) -> _Connection:
        """Set the buffer of a connection by how much it carried since the last call."""
        peer = connection.getpeername()
        information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        (acked,) = BYTES_ACKED.unpack_from(information)
        known = self._connections.get(number)
        if known is None or known.peer != peer:
            return _Connection(peer, acked, now)
        (queued,) = struct.unpack("i", fcntl.ioctl(connection, SIOCOUTQ, bytes(4)))
        rate = (acked - known.acked) / (now - known.looked)
        if queued:
            known.rate = rate if known.rate is None else known.rate + WEIGHT * (rate - known.rate)
        if known.rate is not None and queued > known.rate * self._longest:
            limit = round(known.rate * self._longest)
        else:
            limit = 2 * known.limit
        limit = min(max(limit, LEAST_BYTES), MOST_BYTES)
        if limit != known.limit:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limit)
        known.acked, known.looked, known.limit = acked, now, limit
        return known
