"""Counting what publishers sent and this process never got."""

from collections import defaultdict
from collections.abc import Callable, Collection

import msgspec

from emostream.shared.messages import Message
from emostream.shared.sequences import is_of_stream, stream_part


class Gaps:
    """Finds what never arrived, by the publishers' count of what they sent."""

    def __init__(
        self,
        late: Callable[[Message, int], None],
        lost: Callable[[Message, int], None],
        left_out: Callable[[Message, int], None] | None = None,
    ) -> None:
        """Start; `late` takes what was sent before the first message here, `lost` what is missing.

        Both are called with the message and a count at the first message of each topic and part,
        also with 0. `left_out` takes what is missing because it was not asked for.
        """
        self._late = late
        self._lost = lost
        self._left_out = left_out or lost
        self._next: dict[tuple[str, int], tuple[str, int]] = {}
        self._rejoined: set[tuple[str, int]] = set()

    def follow(self, before: Collection[str], topics: Collection[str]) -> None:
        """Note that `topics` are heard from now on instead of `before`.

        Of those that were not heard for a time, what was sent meanwhile is late and not lost.
        """
        for key in list(self._next):
            if key[0].startswith(tuple(topics)) and not key[0].startswith(tuple(before)):
                self._rejoined.add(key)

    def see(self, message: Message, *, asked_for_all: bool = True) -> None:
        """Look at a message as it arrives; `asked_for_all`: since the last."""
        header = message.header
        part = stream_part(header)
        if part is None or not (header.is_data or header.publisher):
            # Before publishers had names, only frames had a count.
            return
        key, sent = (message.topic, part), header.sent
        publisher, expected = self._next.get(key, (header.publisher, None))
        same = publisher == header.publisher
        self._next[key] = (header.publisher, sent + header.is_data)
        if expected is None:
            self._late(message, sent)
            self._lost(message, 0)
        elif missing := sent - expected if same and sent >= expected else sent:
            # A publisher that was started again counts from 0.
            missed = self._lost if asked_for_all else self._left_out
            (self._late if key in self._rejoined else missed)(message, missing)
        self._rejoined.discard(key)

    def restart(self, message: Message) -> None:
        """Go on from a message whose sequence starts anew; what is between is not known."""
        header = message.header
        part = stream_part(header)
        if part is not None:
            self._next[message.topic, part] = header.publisher, header.sent + header.is_data

    def forget(self, stream: str) -> None:
        """Forget the stream."""
        for key in [key for key in self._next if is_of_stream(key[0], stream)]:
            del self._next[key]
            self._rejoined.discard(key)


class SentCounts:
    """The number of frames that a publisher has sent, by topic and part; `name` is its own."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._sent: defaultdict[tuple[str, int], int] = defaultdict(int)

    def counted(self, message: Message) -> Message:
        """Return the message with who sends it, and the frames sent before on topic and part."""
        part = stream_part(message.header)
        sent = 0 if part is None else self._sent[message.topic, part]
        if part is not None and message.header.is_data:
            self._sent[message.topic, part] += 1
        header = msgspec.structs.replace(message.header, sent=sent, publisher=self._name)
        return Message(header, message.payload, message.shard)
