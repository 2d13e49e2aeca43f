"""Requests a single message from a publisher, by a subscription that no message matches."""

from collections.abc import Iterator
from typing import Final

# A subscription to `once/<any name>/<topics>` requests the next message on these topics. It is then
# sent on that subscription, and so only to that subscriber.
ONCE: Final = "once/"
# Limits on pending requests, in total and per connection, because each one sends a message once
# more.
MOST: Final = 256
MOST_EACH: Final = 32


def request(name: str, topics: str) -> str:
    """Return the subscription for one request; `name` is unique and has no slash."""
    return f"{ONCE}{name}/{topics}"


def answered_topic(topic: bytes) -> bytes:
    """Return the topic of a message, even if it answers a request."""
    if not topic.startswith(ONCE.encode()):
        return topic
    return topic.split(b"/", 2)[2] if topic.count(b"/") > 1 else topic


class Requests:
    """The pending requests at a publisher, oldest first."""

    def __init__(self) -> None:
        # By subscription: the topics and the connection.
        self._waiting: dict[str, tuple[str, int]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, subscription: str, connection: int) -> None:
        """Store a connection's subscription if it is a request and within the limits."""
        if not subscription.startswith(ONCE) or subscription.count("/") < 2:
            return
        its = sum(owner == connection for _, owner in self._waiting.values())
        if len(self) < MOST and its < MOST_EACH:
            self._waiting[subscription] = subscription.split("/", 2)[2], connection

    def remove(self, subscription: str) -> None:
        """Remove the request of an ended subscription."""
        self._waiting.pop(subscription, None)

    def take(self, topic: str) -> Iterator[str]:
        """Yield the topics on which to send the message on `topic` once more, one per request."""
        matching = [key for key, (topics, _) in self._waiting.items() if topic.startswith(topics)]
        for asked in matching:
            del self._waiting[asked]
            yield f"{ONCE}{asked.split('/', 2)[1]}/{topic}"
