"""Bounds what the kernel holds for subscribers on other hosts, by what their link carries."""

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
# Linux: the bytes that were not acknowledged yet, and the place of tcpi_bytes_acked in TCP_INFO.
SIOCOUTQ: Final = 0x5411
BYTES_ACKED: Final = struct.Struct("120xQ")
# The kernel takes no less than the least, and doubles what it is given. A connection begins with
# FIRST_BYTES, so that it does not fill a thin link's own queue before its rate is known.
LEAST_BYTES: Final = 2_304
FIRST_BYTES: Final = 8_192
MOST_BYTES: Final = 1 << 22
# How much the newest figure counts for the rate of a link.
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
    """Keeps the kernel's queue for each subscriber as short as its link empties in `longest` s.

    Left to itself Linux holds as much as a connection needs to be quick, and more: seconds of what
    a thin link carries, each of which is an old frame. A buffer grows while its connection keeps
    up, and is cut to the link's rate where it does not. `endpoints` are those of the publishers:
    those that only this host reaches, and its own connections, are left as they are. Does nothing
    on other systems than Linux. Times are s on the steady `clock`.
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
        """Look at all connections, if it is time to."""
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
        """Yield a copy of each other host's connection to us, with the number of the original."""
        for path in DESCRIPTORS.iterdir():
            # Sockets come and go meanwhile, as they are another thread's.
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
        """Set the buffer of a connection by what it carried since the last time."""
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
