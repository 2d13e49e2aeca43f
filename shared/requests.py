"""Asking a publisher for one message, by a subscription that no message matches by itself."""

from collections.abc import Iterator
from typing import Final

# A subscription to `once/<any name>/<topics>` asks for the next message on these topics, which is
# then sent on that subscription as well, and so to that subscriber alone.
ONCE: Final = "once/"
# Requests that wait for their message, of all connections and of each: a message is sent once more
# for each of them.
MOST: Final = 256
MOST_EACH: Final = 32


def request(name: str, topics: str) -> str:
    """Return the subscription that asks once; `name` has no slash, and is used for nothing else."""
    return f"{ONCE}{name}/{topics}"


def answered_topic(topic: bytes) -> bytes:
    """Return the topic of a message, also where it is the answer to a request."""
    if not topic.startswith(ONCE.encode()):
        return topic
    return topic.split(b"/", 2)[2] if topic.count(b"/") > 1 else topic


class Requests:
    """The requests to a publisher that wait for their message, oldest first."""

    def __init__(self) -> None:
        # By subscription: the topics, and whose it is.
        self._waiting: dict[str, tuple[str, int]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, subscription: str, connection: int) -> None:
        """Note a connection's subscription, if it is a request and not one of too many."""
        if not subscription.startswith(ONCE) or subscription.count("/") < 2:
            return
        its = sum(owner == connection for _, owner in self._waiting.values())
        if len(self) < MOST and its < MOST_EACH:
            self._waiting[subscription] = subscription.split("/", 2)[2], connection

    def remove(self, subscription: str) -> None:
        """Note that a subscription ended."""
        self._waiting.pop(subscription, None)

    def take(self, topic: str) -> Iterator[str]:
        """Yield the topics under which the message on `topic` was asked for."""
        matching = [key for key, (topics, _) in self._waiting.items() if topic.startswith(topics)]
        for asked in matching:
            del self._waiting[asked]
            yield f"{ONCE}{asked.split('/', 2)[1]}/{topic}"
