"""Counting what publishers sent and this process never got."""

from collections import defaultdict
from collections.abc import Callable, Collection

import msgspec

from emostream.shared.messages import Message, frame_part


class Gaps:
    """Finds what never arrived, by the publishers' count of what they sent."""

    def __init__(
        self, late: Callable[[Message, int], None], lost: Callable[[Message, int], None]
    ) -> None:
        """Start; `late` takes what was sent before the first message here, `lost` what is missing.

        Both are called with the message and a count at the first message of each topic and part,
        also with 0.
        """
        self._late = late
        self._lost = lost
        self._next: dict[tuple[str, int], int] = {}
        self._rejoined: set[tuple[str, int]] = set()

    def follow(self, before: Collection[str], topics: Collection[str]) -> None:
        """Note that `topics` are heard from now on instead of `before`.

        Of those that were not heard for a time, what was sent meanwhile is late and not lost.
        """
        for key in list(self._next):
            if key[0].startswith(tuple(topics)) and not key[0].startswith(tuple(before)):
                self._rejoined.add(key)

    def see(self, message: Message) -> None:
        """Look at a message as it arrives."""
        part = frame_part(message.header)
        if part is None:
            return
        key, sent = (message.topic, part), message.header.sent
        expected = self._next.get(key)
        self._next[key] = sent + 1
        if expected is None:
            self._late(message, sent)
            self._lost(message, 0)
        elif missing := sent - expected if sent >= expected else sent:
            # A count below the expected one is that of a publisher which was started again.
            (self._late if key in self._rejoined else self._lost)(message, missing)
        self._rejoined.discard(key)

    def restart(self, message: Message) -> None:
        """Go on from a message whose sequence starts anew; what is between is not known."""
        part = frame_part(message.header)
        if part is not None:
            self._next[message.topic, part] = message.header.sent + 1

    def forget(self, stream: str) -> None:
        """Forget the stream."""
        for key in [key for key in self._next if key[0].endswith(f"/{stream}/")]:
            del self._next[key]
            self._rejoined.discard(key)


class SentCounts:
    """The number of frames that a publisher has sent, by topic and part."""

    def __init__(self) -> None:
        self._sent: defaultdict[tuple[str, int], int] = defaultdict(int)

    def counted(self, message: Message) -> Message:
        """Return the message with the number of frames sent before on its topic and part."""
        part = frame_part(message.header)
        if part is None:
            return message
        sent = self._sent[message.topic, part]
        self._sent[message.topic, part] += 1
        header = msgspec.structs.replace(message.header, sent=sent)
        return Message(header, message.payload, message.shard)
