"""Counts the messages of a replay."""

import time
from collections import Counter
from collections.abc import Callable

from emostream.shared.messages import Message


class SentMessages:
    """Counts messages by the first part of their topics, and the time since its creation."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._counts: Counter[str] = Counter()
        self._clock = clock
        self._started = clock()

    def add(self, message: Message) -> None:
        """Count a message."""
        self._counts["end" if message.header.end else message.topic.partition("/")[0]] += 1

    @property
    def total(self) -> int:
        """The total number of messages."""
        return self._counts.total()

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self._counts.items()))
        return f"{counts} in {self._clock() - self._started:.1f} s"
