"""Which topics the subscribers of a relay ask for, and so the relay asks for itself."""

from collections import Counter
from typing import Final

from emostream.shared.subscription_limit import COST, socket_inode

# Beyond some more than that a publisher ends the relay's connection, for all of its subscribers.
MOST_BYTES: Final = 48 * 1024


class WantedTopics:
    """Knows by connection who subscribes to what."""

    def __init__(self) -> None:
        # By topic: the file descriptors that ask for it, each with the inode of its socket, which
        # no later one has.
        self._asked: dict[str, dict[int, int | None]] = {}

    def add(self, topic: str, descriptor: int) -> int | None:
        """Note that a connection subscribes.

        Where that is more than is possible, what the connection that asks for the most wanted is
        forgotten, and it is returned: it is to be ended, so that nobody can shut the others out.
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
        """Note that a connection no longer subscribes to a topic."""
        connections = self._asked.get(topic, {})
        connections.pop(descriptor, None)
        if not connections:
            self._asked.pop(topic, None)

    def forget_ended(self) -> None:
        """Forget what was asked for by connections that have ended."""
        for topic, connections in list(self._asked.items()):
            for descriptor, inode in list(connections.items()):
                if inode is None or socket_inode(descriptor) != inode:
                    self.remove(topic, descriptor)

    def needed(self) -> frozenset[str]:
        """Return the subscriptions that bring all of it: those that were asked for.

        A wider one does not stand for those within it, since a source may refuse it.
        """
        return frozenset(self._asked)
