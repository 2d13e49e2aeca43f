"""Small numbers for the faces of a stream: 1, 2, 3 instead of track ids."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# No other face gets a number while its face is still visible in the timeline.
KEPT_NS: Final = 300 * 10**9
# Far more faces than pass a camera in that time; the oldest are forgotten first.
MAX_TRACKS: Final = 2000


@dataclass(slots=True)
class _Numbered:
    """A number, assigned at a `revision`; `seen` is its track's last capture time (ns)."""

    number: int
    seen: int
    revision: int


class FaceNumbers:
    """The numbers of one stream's tracks: each new track gets the lowest free number.

    A track loses its number after five minutes without being seen.
    """

    def __init__(self) -> None:
        self._tracks: dict[int, _Numbered] = {}  # most recently seen last
        self._free: list[int] = []  # a heap of free numbers

    def see(self, track: int, t: int, revision: int = 0) -> bool:
        """Record that the track was seen at `t` (ns); return whether it just got its number."""
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
        """Yield the tracks that got numbers after the revision, with their numbers."""
        for track, each in self._tracks.items():
            if each.revision > revision:
                yield track, each.number

    def _forget(self, now: int) -> None:
        """Forget tracks far in the past, and in the future, in case a clock was set back."""
        while self._tracks:
            track, oldest = next(iter(self._tracks.items()))
            if abs(now - oldest.seen) <= KEPT_NS and len(self._tracks) < MAX_TRACKS:
                return
            del self._tracks[track]
            heapq.heappush(self._free, oldest.number)
