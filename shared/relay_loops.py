"""Finds sources of a relay that get their messages from it, directly or through other relays.

Messages in such a loop would circulate as long as the relays run.
"""

import random
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from emostream.shared.clocks import CLOCK

# The end of a loop is found within this many s, at random: one of the relays in it resumes first,
# and the others then find the loop closed again.
FREE_AFTER_S: Final = (5.0, 10.0)


class RelayLoops:
    """Marks each of the `sources` with its own subscription, which relays forward.

    If a mark comes back, that source is in a loop. The marks are requests for the time, which every
    peer may send; the answers are ignored. Times are s on the steady `clock`.
    """

    def __init__(self, sources: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        name = secrets.token_hex(4)
        self.marks: Mapping[str, str] = {
            source: f"{CLOCK}relay-{name}-{number}/" for number, source in enumerate(sources)
        }
        self._own = frozenset(self.marks.values())
        self._until: dict[str, float] = {}

    def look(self, asked: Collection[str]) -> None:
        """Check the subscriptions at this relay for marks that came back."""
        now = self._clock()
        for source, mark in self.marks.items():
            if mark in asked:
                self._until[source] = now + random.uniform(*FREE_AFTER_S)

    def others(self, asked: frozenset[str]) -> frozenset[str]:
        """Return the subscriptions without this relay's marks."""
        return asked - self._own

    def is_mark(self, topic: str) -> bool:
        """Whether a message on the topic answers a mark."""
        return topic in self._own

    def has(self, source: str) -> bool:
        """Whether the source is in a loop."""
        return self._clock() < self._until.get(source, float("-inf"))
