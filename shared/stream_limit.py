"""The limit on the number of streams that a process remembers."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emostream.shared.errors import MessageError

# A stream with another message after this many s is not the invention of a single message.
ESTABLISHED_AFTER_S: Final = 1.0


@dataclass(slots=True)
class _Heard:
    first: float
    last: float

    @property
    def established(self) -> bool:
        return self.last - self.first >= ESTABLISHED_AFTER_S


class StreamLimit:
    """Admits at most `limit` streams, and evicts the oldest silent stream for each additional one.

    Streams that were active only for a moment are evicted first, so that invented names do not push
    out cameras, then streams silent for `silent_after` s. `evicted` is called with the name of each
    evicted stream. Not thread-safe. Times are s on the steady `clock`.
    """

    def __init__(
        self,
        limit: int,
        silent_after: float,
        evicted: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._silent_after = silent_after
        self._evicted = evicted
        self._clock = clock
        # Ordered by last message, longest silent first.
        self._new: OrderedDict[str, _Heard] = OrderedDict()
        self._established: OrderedDict[str, _Heard] = OrderedDict()

    def __contains__(self, stream: str) -> bool:
        return stream in self._established or stream in self._new

    def admit(self, stream: str) -> None:
        """Record a message of the stream.

        Raises MessageError, with the reason `streams`, for a new stream if too many are active.
        """
        now = self._clock()
        heard = self._established.pop(stream, None) or self._new.pop(stream, None)
        if heard is None:
            self._make_room(now)
            heard = _Heard(now, now)
        heard.last = now
        (self._established if heard.established else self._new)[stream] = heard

    def _make_room(self, now: float) -> None:
        if len(self._new) + len(self._established) < self._limit:
            return
        if self._new:
            stream, _ = self._new.popitem(last=False)
        else:
            stream, heard = next(iter(self._established.items()))
            if now - heard.last < self._silent_after:
                raise MessageError("streams", f"more than live.max_streams = {self._limit} send")
            del self._established[stream]
        self._evicted(stream)
