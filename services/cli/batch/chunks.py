"""Splits a recording into chunks that are analyzed independently."""

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from emostream.services.capture.ffmpeg.frame_index import FrameIndex

NS: Final = 1_000_000_000
# The minimum overlap in pictures, however far apart they are: by then the full frame has been
# searched, and faces were seen often enough to be told apart.
LEAST_OVERLAP: Final = 10
# A chunk starts with a picture whose number is a multiple of this, which is searched in full, so
# that the turns of extra looks (one per two pictures) are complete. If the budget for extra looks
# is always used up, nothing else would bring two analyses back into step.
STEP: Final = 10


class Chunk(msgspec.Struct, frozen=True):
    """A part of a recording: the pictures from `start` to before `end` (None: to the end).

    Times are ns since the first picture, which is at `first` ns on the file's own clock. Detection
    starts at `warm`, so that at `start` the state is as if the recording had been seen from its
    beginning; that picture is number `warm_frame` of the analyzed ones. Decoding starts at the key
    frame at `key`, after `before` pictures. `frames` is the expected number of frames.
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
    """Split a recording at key frames into chunks of about `length` ns, plus `overlap` before.

    A chunk ends at the first key frame after its length; a rest of less than half a length is added
    to the last one. `sample` is in pictures per second, 0 for all. A file that cannot be decoded
    from the middle is a single chunk.
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
    """Return the increasing times (ns) of the pictures that `sampled` keeps."""
    if not rate:
        return times
    intervals = np.floor(times * rate / 1e9 + 1e-6)
    return times[np.concatenate(([True], intervals[1:] != intervals[:-1]))]


def _cuts(keys: NDArray[np.int64], length: int, last: int) -> Iterator[int]:
    """Yield the key frames at which to split."""
    start = 0
    while True:
        place = int(np.searchsorted(keys, start + max(length, 1)))
        if place >= len(keys) or last - int(keys[place]) < length // 2:
            return
        start = int(keys[place])
        yield start
