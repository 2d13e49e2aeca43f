"""Counts messages that publishers sent and this process never received."""

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import msgspec

from emostream.shared.messages import Message
from emostream.shared.sequences import frames_before, is_of_stream, stream_part

# Two classifiers may answer alternately, and each be restarted.
MOST_PUBLISHERS: Final = 4


@dataclass(slots=True)
class _Heard:
    """The progress of one topic and part: the next number of each publisher and of the run."""

    run: str = ""
    next_seq: int = 0
    publishers: dict[str, int] = field(default_factory=dict)

    @property
    def last_publisher(self) -> str | None:
        """The publisher of the last message."""
        return next(reversed(self.publishers), None)

    def frames_missing(self, message: Message) -> int:
        """Return how many earlier frames of the message's run are missing."""
        header = message.header
        return max(0, frames_before(header) - self.next_seq * (header.run == self.run))

    def note(self, message: Message) -> None:
        header = message.header
        self.publishers.pop(header.publisher, None)
        self.publishers[header.publisher] = header.sent + header.is_data
        if len(self.publishers) > MOST_PUBLISHERS:
            del self.publishers[next(iter(self.publishers))]
        seq = frames_before(header) + header.is_data
        self.next_seq = max(seq, self.next_seq) if header.run == self.run else seq
        self.run = header.run


class Gaps:
    """Finds messages that never arrived, by each publisher's count of sent messages.

    A message that is missing from one publisher may have arrived from another. So the count is
    limited to frames for which no message arrived from any publisher.
    """

    def __init__(
        self,
        late: Callable[[Message, int], None],
        lost: Callable[[Message, int], None],
        left_out: Callable[[Message, int], None] | None = None,
    ) -> None:
        """Create; `late` gets messages sent before the first one here, `lost` gets missing ones.

        Both are called with the message and a count, and also with 0 at the first message of each
        topic and part. `left_out` gets messages that are missing because nobody requested them.
        """
        self._late = late
        self._lost = lost
        self._left_out = left_out or lost
        self._heard: dict[tuple[str, int], _Heard] = {}
        self._rejoined: set[tuple[str, int]] = set()

    def follow(self, before: Collection[str], topics: Collection[str]) -> None:
        """Switch from the topics `before` to `topics`.

        Messages sent on a topic while it was not subscribed to count as late, not lost.
        """
        for key in list(self._heard):
            if key[0].startswith(tuple(topics)) and not key[0].startswith(tuple(before)):
                self._rejoined.add(key)

    def see(self, message: Message, *, asked_for_all: bool = True) -> None:
        """Check an arriving message; `asked_for_all`: everything since the last was requested."""
        header = message.header
        part = stream_part(header)
        if part is None or not (header.is_data or header.publisher):
            # Older publishers have no name and count only frames.
            return
        key, sent = (message.topic, part), header.sent
        heard = self._heard.get(key)
        if heard is None:
            self._heard[key] = heard = _Heard()
            self._late(message, sent)
            self._lost(message, 0)
        elif missing := self._missing(heard, message):
            missed = self._lost if asked_for_all else self._left_out
            (self._late if key in self._rejoined else missed)(message, missing)
        heard.note(message)
        self._rejoined.discard(key)

    @staticmethod
    def _missing(heard: _Heard, message: Message) -> int:
        # A restarted publisher counts from 0.
        expected = heard.publishers.get(message.header.publisher, 0)
        sent = message.header.sent
        missing = sent - expected if sent >= expected else sent
        if message.header.publisher == heard.last_publisher:
            return missing
        return min(missing, heard.frames_missing(message))

    def restart(self, message: Message) -> None:
        """Continue from a message whose sequence starts over, without counting a gap."""
        header = message.header
        part = stream_part(header)
        if part is not None:
            self._heard.setdefault((message.topic, part), _Heard()).note(message)

    def forget(self, stream: str) -> None:
        """Forget the stream."""
        for key in [key for key in self._heard if is_of_stream(key[0], stream)]:
            del self._heard[key]
            self._rejoined.discard(key)


class SentCounts:
    """The number of messages that a publisher has sent by topic and part; `name` identifies it."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._sent: defaultdict[tuple[str, int], int] = defaultdict(int)

    def counted(self, message: Message) -> Message:
        """Return the message with the publisher's name and its count on the topic and part."""
        part = stream_part(message.header)
        sent = 0 if part is None else self._sent[message.topic, part]
        if part is not None and message.header.is_data:
            self._sent[message.topic, part] += 1
        header = msgspec.structs.replace(message.header, sent=sent, publisher=self._name)
        return Message(header, message.payload, message.shard)
