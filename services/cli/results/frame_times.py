"""How much of a recording's time each of its frames stands for."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Final

from emostream.services.recorder.archive.rows import RecordedFrame

# After this long without a frame nobody knows who is still there: the classifier's `leave_after`.
LONGEST_DURATION: Final = 1_000_000_000


def with_durations(frames: Iterable[RecordedFrame]) -> Iterator[tuple[RecordedFrame, int]]:
    """Yield each frame with its duration in ns: until the next one, LONGEST_DURATION at most.

    A run's last frame lasts as long as the one before it, a single one no time.
    """
    duration = 0
    for frame, after in itertools.pairwise(itertools.chain(frames, [None])):
        assert frame is not None
        if after is None or after.row.run != frame.row.run:
            yield frame, duration
            duration = 0
        else:
            duration = min(max(after.row.pts - frame.row.pts, 0), LONGEST_DURATION)
            yield frame, duration
