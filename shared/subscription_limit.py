"""The bound on what the subscribers of a publisher may make it remember."""

import contextlib
import os
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

# A connection may subscribe to this many bytes of topics, each with COST more for itself: all
# parts of a frame, or some thousand streams, take a part of that. libzmq keeps 50 times as much.
CONNECTION_BYTES: Final = 65_536
TOTAL_BYTES: Final = 4 * 2**20
COST: Final = 16


@dataclass
class _Connection:
    """The inode of a connection's socket, which no later one has; how often it has which topics."""

    inode: int
    topics: Counter[bytes] = field(default_factory=Counter)
    taken: int = 0


class SubscriptionLimit:
    """Ends connections that subscribe to more than anybody needs.

    libzmq has no such bound: 100,000 subscriptions of 40 bytes take 220 MB, and those that
    XPUB_MANUAL refuses are remembered all the same. What a connection has is freed when it ends.
    """

    def __init__(self) -> None:
        # By file descriptor.
        self._known: dict[int, _Connection] = {}

    def add(self, descriptor: int, topic: bytes) -> bool:
        """Note a subscription of a connection; return False if that was ended for it."""
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
        """Note that a connection no longer subscribes to a topic; one that it never had is none."""
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
            # Some of them may be gone.
            self._known = {
                key: each for key, each in self._known.items() if socket_inode(key) == each.inode
            }
            total = sum(each.taken for each in self._known.values())
        return total


def socket_inode(descriptor: int) -> int | None:
    """Return the inode of a connection's socket, None if it has ended."""
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
