"""Work that continues elsewhere while the loop of a stage puts together what comes next."""

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from emostream.shared.inbox import Inbox
from emostream.shared.messages import Message

# How often the inbox is looked at meanwhile; the end of the work is noticed at once.
LOOK_S: Final = 0.002


class Begun(Protocol):
    """Work on messages accepted at `taken` (ns since the epoch), which continues elsewhere."""

    messages: list[Message]
    taken: int

    def wait(self, seconds: float) -> bool:
        """Wait so long for the work to end; return whether it has."""

    def answer(self, messages: list[Message]) -> list[Message]:
        """Wait for the end, and return the answers to `messages`, some or all of those."""


Begin: TypeAlias = Callable[[list[Message]], Begun]


def gather(inbox: Inbox, limit: int, running: Begun) -> list[Message]:
    """Return the messages that come, up to `limit`, until the running work has ended."""
    messages: list[Message] = []
    while len(messages) < limit:
        messages += inbox.take(limit - len(messages), 0)
        if running.wait(LOOK_S):
            break
    return messages
