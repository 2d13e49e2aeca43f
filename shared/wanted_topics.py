"""The topics that a relay's subscribers want, which the relay then subscribes to."""

from collections import Counter
from typing import Final

from emostream.shared.subscription_limit import COST, socket_inode

# Slightly above this, a publisher closes the relay's connection, for all its subscribers.
MOST_BYTES: Final = 48 * 1024


class WantedTopics:
    """Tracks the subscriptions of each connection."""

    def __init__(self) -> None:
        # By topic: the file descriptors of its subscribers, each with the inode of its socket,
        # which is never reused.
        self._asked: dict[str, dict[int, int | None]] = {}

    def add(self, topic: str, descriptor: int) -> int | None:
        """Add a connection's subscription.

        If there are then too many, forgets the subscriptions of the connection with the most, and
        returns it. The caller must close it, so that nobody can shut out the others.
        """
        greediest = None
        if topic not in self._asked and self._bytes(topic) > MOST_BYTES:
            self.forget_ended()
            greediest = self._greediest(topic, descriptor)
            for each in list(self._asked):
                self.remove(each, greediest)
        if greediest != descriptor:
            self._asked.setdefault(topic, {})[descriptor] = socket_inode(descriptor)
        return greediest

    def _bytes(self, topic: str) -> int:
        return sum(len(each) + COST for each in (*self._asked, topic))

    def _greediest(self, topic: str, descriptor: int) -> int:
        held = Counter({descriptor: len(topic) + COST})
        for each, connections in self._asked.items():
            for connection in connections:
                held[connection] += len(each) + COST
        return held.most_common(1)[0][0]

    def remove(self, topic: str, descriptor: int) -> None:
        """Remove a connection's subscription."""
        connections = self._asked.get(topic, {})
        connections.pop(descriptor, None)
        if not connections:
            self._asked.pop(topic, None)

    def forget_ended(self) -> None:
        """Forget the subscriptions of closed connections."""
        for topic, connections in list(self._asked.items()):
            for descriptor, inode in list(connections.items()):
                if inode is None or socket_inode(descriptor) != inode:
                    self.remove(topic, descriptor)

    def needed(self) -> frozenset[str]:
        """Return the subscriptions that cover all topics: exactly those of the subscribers.

        A wider subscription does not replace those within it, because a source may refuse it.
        """
        return frozenset(self._asked)
