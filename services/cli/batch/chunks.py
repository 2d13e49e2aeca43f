"""How a recording is cut into chunks that are analyzed apart from each other."""

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from emostream.services.capture.ffmpeg.frame_index import FrameIndex

NS: Final = 1_000_000_000
# Pictures that a chunk begins earlier at least, however far apart they are: each tile has had its
# turn, and faces are seen often enough to be told apart.
LEAST_OVERLAP: Final = 10
# A chunk begins with a picture whose number is a multiple of this. By then a whole number of turns
# of the tiles and of extra looks (one in two pictures) is over: where there are always more looks
# to spend than the budget allows, nothing else would bring two analyses back into step.
STEP: Final = 10


class Chunk(msgspec.Struct, frozen=True):
    """A part of a recording: the pictures from `start` to before `end` (None: to the end).

    Times are ns since the first picture, which is at `first` ns on the file's own clock. Faces are
    looked for from `warm` on, so that at `start` all is as if the recording had been seen from its
    beginning; the picture there is number `warm_frame` of those that are analyzed. At `key`, behind
    `before` pictures, is a key frame to begin decoding at. `frames` are expected in the chunk.
    """

    number: int = 0
    start: int = 0
    end: int | None = None
    warm: int = 0
    warm_frame: int = 0
    key: int = 0
    before: int = 0
    first: int = 0
    frames: int = 0


def plan_chunks(index: FrameIndex, length: int, overlap: int, sample: float) -> list[Chunk]:
    """Cut a recording at key frames into chunks of about `length` ns, that begin `overlap` earlier.

    A chunk ends at the first key frame behind its length; what would be left of less than half a
    length goes with the last one. `sample` is in pictures per second, 0 for all. A file that cannot
    be read from its middle is one chunk.
    """
    if not len(index.times):
        return [Chunk()]
    first = int(index.times[0])
    times, keys = index.times - first, index.keys - first
    kept = sampled_times(times, sample)
    if not index.splits or not len(keys) or keys[0] > 0:
        return [Chunk(first=first, frames=len(kept))]
    edges = [0, *_cuts(keys, length, int(times[-1]))]
    ends: list[int | None] = [*edges[1:], None]
    chunks = []
    for number, (start, end) in enumerate(zip(edges, ends, strict=True)):
        low, high = np.searchsorted(kept, [start, times[-1] + 1 if end is None else end]).tolist()
        warm_frame = min(int(np.searchsorted(kept, start - overlap)), max(0, low - LEAST_OVERLAP))
        warm_frame -= warm_frame % STEP
        warm = int(kept[warm_frame])
        key = int(keys[np.searchsorted(keys, warm, "right") - 1])
        chunks.append(
            Chunk(
                number=number,
                start=start,
                end=end,
                warm=warm,
                warm_frame=warm_frame,
                key=key,
                before=int(np.searchsorted(times, key)),
                first=first,
                frames=high - low,
            )
        )
    return chunks


def sampled_times(times: NDArray[np.int64], rate: float) -> NDArray[np.int64]:
    """Return the times, ns, of the pictures that `sampled` takes of these, which only rise."""
    if not rate:
        return times
    intervals = np.floor(times * rate / 1e9 + 1e-6)
    return times[np.concatenate(([True], intervals[1:] != intervals[:-1]))]


def _cuts(keys: NDArray[np.int64], length: int, last: int) -> Iterator[int]:
    """Yield the key frames to cut at."""
    start = 0
    while True:
        place = int(np.searchsorted(keys, start + max(length, 1)))
        if place >= len(keys) or last - int(keys[place]) < length // 2:
            return
        start = int(keys[place])
        yield start
