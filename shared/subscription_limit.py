"""The limit on subscriptions that a publisher has to remember."""

import contextlib
import os
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

# A connection may subscribe to this many bytes of topics, counting COST more per topic. All parts
# of a frame, or some thousand streams, take only part of that. libzmq needs 50 times as much
# memory.
CONNECTION_BYTES: Final = 65_536
TOTAL_BYTES: Final = 4 * 2**20
COST: Final = 16


@dataclass
class _Connection:
    """The inode of a connection's socket, which is never reused, and its topics with counts."""

    inode: int
    topics: Counter[bytes] = field(default_factory=Counter)
    taken: int = 0


class SubscriptionLimit:
    """Closes connections that subscribe to more than anybody needs.

    libzmq has no such limit: 100,000 subscriptions of 40 bytes take 220 MB, and those that
    XPUB_MANUAL refuses are remembered all the same. The memory is freed when the connection ends.
    """

    def __init__(self) -> None:
        # By file descriptor.
        self._known: dict[int, _Connection] = {}

    def add(self, descriptor: int, topic: bytes) -> bool:
        """Record a connection's subscription; return False if the connection was closed for it."""
        inode = socket_inode(descriptor)
        if inode is None:
            return False
        known = self._known.get(descriptor)
        if known is None or known.inode != inode:
            known = self._known[descriptor] = _Connection(inode)
        known.topics[topic] += 1
        known.taken += len(topic) + COST
        if known.taken <= CONNECTION_BYTES and self._total() <= TOTAL_BYTES:
            return True
        end_connection(descriptor)
        return False

    def remove(self, descriptor: int, topic: bytes) -> None:
        """Remove a connection's subscription; one that it never had is ignored."""
        topic = b"\1" + topic[1:]
        known = self._known.get(descriptor)
        if known is None or not known.topics[topic]:
            return
        known.topics[topic] -= 1
        known.taken -= len(topic) + COST
        if not known.topics[topic]:
            del known.topics[topic]

    def _total(self) -> int:
        total = sum(each.taken for each in self._known.values())
        if total > TOTAL_BYTES:
            # Some connections may be gone.
            self._known = {
                key: each for key, each in self._known.items() if socket_inode(key) == each.inode
            }
            total = sum(each.taken for each in self._known.values())
        return total


def socket_inode(descriptor: int) -> int | None:
    """Return the inode of a connection's socket, None if it is closed."""
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return None


def end_connection(descriptor: int) -> None:
    """Shut down the connection; its owner notices and closes it."""
    # It may already be closed.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        # Reset instead of closing, which a peer that only sends would not notice.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
