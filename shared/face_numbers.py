"""Small numbers for the faces of a stream, as people read them: 1, 2, 3 instead of track ids."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# As long as a face can be seen in a timeline, no other gets its number.
KEPT_NS: Final = 300 * 10**9
# Far more faces than come and go before a camera in that time; the oldest go first.
MAX_TRACKS: Final = 2000


@dataclass(slots=True)
class _Numbered:
    """A number, given at a `revision`; its track was last `seen` at that capture time (ns)."""

    number: int
    seen: int
    revision: int


class FaceNumbers:
    """The numbers of one stream's tracks: each new one gets the lowest that is free.

    A track keeps its number until it was not seen for five minutes.
    """

    def __init__(self) -> None:
        self._tracks: dict[int, _Numbered] = {}  # the one that was seen last comes last
        self._free: list[int] = []  # a heap of numbers that were given before

    def see(self, track: int, t: int, revision: int = 0) -> bool:
        """Note that the track was seen at `t` (ns); return whether it got its number now."""
        known = self._tracks.pop(track, None)
        if known is None:
            self._forget(t)
            number = heapq.heappop(self._free) if self._free else len(self._tracks) + 1
            self._tracks[track] = _Numbered(number, t, revision)
            return True
        known.seen = t
        self._tracks[track] = known
        return False

    def of(self, track: int) -> int:
        """Return the number of a track that was seen."""
        return self._tracks[track].number

    def since(self, revision: int) -> Iterator[tuple[int, int]]:
        """Yield the tracks that got their numbers after the revision, with the numbers."""
        for track, each in self._tracks.items():
            if each.revision > revision:
                yield track, each.number

    def _forget(self, now: int) -> None:
        """Forget what is far from now, also ahead: a clock may have been set back."""
        while self._tracks:
            track, oldest = next(iter(self._tracks.items()))
            if abs(now - oldest.seen) <= KEPT_NS and len(self._tracks) < MAX_TRACKS:
                return
            del self._tracks[track]
            heapq.heappush(self._free, oldest.number)
