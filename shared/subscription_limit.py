"""The bound on what the subscribers of a publisher may make it remember."""

import contextlib
import os
import socket
import struct
from typing import Final

# A connection may subscribe to this many bytes of topics, each with COST more for itself: all
# parts of a frame, or some thousand streams, take a part of that. libzmq keeps 50 times as much.
CONNECTION_BYTES: Final = 65_536
TOTAL_BYTES: Final = 4 * 2**20
COST: Final = 16


class SubscriptionLimit:
    """Ends connections that subscribe to more than anybody needs.

    libzmq has no such bound: 100,000 subscriptions of 40 bytes take 220 MB, and those that
    XPUB_MANUAL refuses are remembered all the same. What a connection has is freed when it ends.
    """

    def __init__(self) -> None:
        # By file descriptor: the inode of its socket, which no later one has, and what it took.
        self._taken: dict[int, tuple[int, int]] = {}

    def add(self, descriptor: int, topic_bytes: int) -> bool:
        """Note a subscription of a connection; return False where that was ended for it."""
        inode = socket_inode(descriptor)
        if inode is None:
            return False
        before, taken = self._taken.get(descriptor, (inode, 0))
        taken = topic_bytes + COST + (taken if before == inode else 0)
        self._taken[descriptor] = inode, taken
        if taken <= CONNECTION_BYTES and self._total() <= TOTAL_BYTES:
            return True
        end_connection(descriptor)
        return False

    def remove(self, descriptor: int, topic_bytes: int) -> None:
        """Note that a connection no longer subscribes to a topic."""
        if known := self._taken.get(descriptor):
            inode, taken = known
            self._taken[descriptor] = inode, max(0, taken - topic_bytes - COST)

    def _total(self) -> int:
        total = sum(taken for _, taken in self._taken.values())
        if total > TOTAL_BYTES:
            # Some of them may be gone.
            current = {
                key: each for key, each in self._taken.items() if socket_inode(key) == each[0]
            }
            self._taken = current
            total = sum(taken for _, taken in current.values())
        return total


def socket_inode(descriptor: int) -> int | None:
    """Return the inode of a connection's socket, None where it has ended."""
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return None


def end_connection(descriptor: int) -> None:
    """End the connection; its owner finds it at its end, and closes it."""
    # It may have ended by itself.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        # A reset instead of a farewell: a peer that only sends would not see the latter.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
