"""Asking a publisher for one message, by a subscription that no message matches by itself."""

from collections.abc import Iterator
from typing import Final

# A subscription to `once/<any name>/<topics>` asks for the next message on these topics, which is
# then sent on that subscription as well, and so to that subscriber alone.
ONCE: Final = "once/"
# Requests that wait for their message; more than this many subscribers on thin links have to wait.
MOST: Final = 1024


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
        self._waiting: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, subscription: str) -> None:
        """Note a subscription, if it is a request."""
        if subscription.startswith(ONCE) and subscription.count("/") > 1 and len(self) < MOST:
            self._waiting[subscription] = subscription.split("/", 2)[2]

    def remove(self, subscription: str) -> None:
        """Note that a subscription ended."""
        self._waiting.pop(subscription, None)

    def take(self, topic: str) -> Iterator[str]:
        """Yield the topics under which the message on `topic` was asked for."""
        for asked in [asked for asked, topics in self._waiting.items() if topic.startswith(topics)]:
            del self._waiting[asked]
            yield f"{ONCE}{asked.split('/', 2)[1]}/{topic}"
