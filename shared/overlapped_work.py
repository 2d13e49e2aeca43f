"""Work that runs elsewhere while a stage's loop assembles the next batch."""

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from emostream.shared.inbox import Inbox
from emostream.shared.messages import Message

# How often the inbox is checked in the meantime; the end of the work is noticed immediately.
LOOK_S: Final = 0.002


class Begun(Protocol):
    """Work in progress elsewhere, on messages accepted at `taken` (ns since the epoch)."""

    messages: list[Message]
    taken: int

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the work to end; return whether it has."""

    def answer(self, messages: list[Message]) -> list[Message]:
        """Wait for the end, and return the answers to `messages`, a subset of the work's."""


Begin: TypeAlias = Callable[[list[Message]], Begun]


def gather(inbox: Inbox, limit: int, running: Begun) -> list[Message]:
    """Return the messages that arrive until the running work ends, up to `limit`."""
    messages: list[Message] = []
    while len(messages) < limit:
        messages += inbox.take(limit - len(messages), 0)
        if running.wait(LOOK_S):
            break
    return messages
