"""Whether the frames of a publisher come through shared memory, from a subscriber's view."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from emostream.shared.errors import MessageError
from emostream.shared.memory_reference import Offer, Reference
from emostream.shared.messages import Message
from emostream.shared.requests import ONCE
from emostream.shared.wire import decode, unpack

if TYPE_CHECKING:
    from emostream.shared.frame_memory import FrameReader

# A publisher that is silent for this long may have been restarted without shared memory.
SILENT_AFTER_S: Final = 1.0
# A reference has 80 bytes.
MAX_REFERENCE_BYTES: Final = 1024
MOST_TOPICS: Final = 1024


class LocalFrames:
    """Reads frames from the shared memory of the publisher at `endpoint`, while that works.

    It is in use from an offer whose memory can be opened, until an answer has no offer, a memory
    cannot be opened, or the publisher is silent. `count` is called with each frame. Times are s on
    the steady `clock`. Not thread-safe.
    """

    def __init__(
        self,
        endpoint: str,
        largest: int,
        count: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint.replace("localhost", "127.0.0.1")
        self._largest = largest
        self._reader: FrameReader | None = None
        self._count = count
        self._clock = clock
        self._heard_at = float("-inf")
        # By topic: the publisher of the last frame, its `sent`, and whether it was a reference.
        self._last: dict[str, tuple[str, int, bool]] = {}

    def hear(self) -> None:
        """Record that a message of the publisher arrived."""
        self._heard_at = self._clock()

    def is_used(self) -> bool:
        """Whether to subscribe to references now."""
        if self._clock() - self._heard_at > SILENT_AFTER_S:
            # Memory of a publisher that is gone would stay allocated.
            self.close()
        return self._reader is not None and self._reader.is_open

    def take_offer(self, offer: Offer | None) -> None:
        """Open the memory that the publisher offers; without a usable offer, close it."""
        try:
            if offer and offer.endpoint == self._endpoint:
                self._frames().open(offer.memory)
                return
        except MessageError:
            # The publisher is on another host or in another container.
            pass
        self.close()

    def decode(
        self, topic: bytes, parts: Sequence[memoryview], *, is_local: bool
    ) -> Message | None:
        """Return the message in the parts, which came on `topic`.

        `is_local`: with a reference instead of its payload. None if the payload was overwritten, or
        if the message was the last one on `topic` too and came the other way: both are subscribed
        to while a subscriber switches. Raises MessageError if the message is malformed, or if its
        reference cannot be followed.
        """
        if is_local and len(parts) > 2:
            payload = self._payload(parts[2])
            if payload is None:
                return None
            parts = [*parts[:2], payload, *parts[3:]]
        message = decode(parts)
        # Answers to requests may repeat a message that also comes unrequested.
        is_answer = topic.startswith(ONCE.encode())
        return None if not is_answer and self._is_repeated(message, is_local) else message

    def _payload(self, part: memoryview) -> memoryview | None:
        try:
            reference = msgspec.convert(unpack(part, MAX_REFERENCE_BYTES), Reference)
        except msgspec.ValidationError as error:
            raise MessageError("memory", str(error)) from error
        payload = self._frames().read(reference)
        if payload is not None:
            self._count()
        return payload

    def _frames(self) -> "FrameReader":
        """Return the reader."""
        if self._reader is None:
            # Stages without frames do without NumPy.
            from emostream.shared.frame_memory import FrameReader

            self._reader = FrameReader(self._largest)
        return self._reader

    def _is_repeated(self, message: Message, is_local: bool) -> bool:
        header = message.header
        if not header.is_data:
            return False
        publisher, sent, was_local = self._last.pop(message.topic, ("", -1, False))
        self._last[message.topic] = header.publisher, header.sent, is_local
        if len(self._last) > MOST_TOPICS:
            del self._last[next(iter(self._last))]
        return (publisher, sent) == (header.publisher, header.sent) and was_local != is_local

    def close(self) -> None:
        """Close the memory."""
        if self._reader:
            self._reader.close()
