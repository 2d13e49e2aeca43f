"""The duration that each frame of a recording represents."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Final

from emostream.services.recorder.archive.rows import RecordedFrame

# After this long without a frame, tracks are unknown: the classifier's `leave_after`.
LONGEST_DURATION: Final = 1_000_000_000
# Except for sparse frames: a distance up to this many times its neighbors' is not a gap.
HOLE_FACTOR: Final = 3


def with_durations(frames: Iterable[RecordedFrame]) -> Iterator[tuple[RecordedFrame, int]]:
    """Yield each frame with its duration in ns: until the next one, but not across a gap.

    A gap is longer than LONGEST_DURATION, and longer than HOLE_FACTOR times the distances before
    and after it, if any; it counts as LONGEST_DURATION. A run's last frame lasts as long as the one
    before it; a single frame has duration 0.
    """
    before: int | None = None
    duration = 0
    for (frame, step), (_, after) in itertools.pairwise(_with_steps(frames)):
        assert frame is not None
        if step is None:
            yield frame, duration
            before, duration = None, 0
        else:
            usual = max((one for one in (before, after) if one is not None), default=step)
            is_hole = step > max(LONGEST_DURATION, HOLE_FACTOR * usual)
            duration = LONGEST_DURATION if is_hole else step
            before = step
            yield frame, duration


def _with_steps(
    frames: Iterable[RecordedFrame],
) -> Iterator[tuple[RecordedFrame | None, int | None]]:
    """Yield each frame with the ns to the next one of its run (None for the last), then a None."""
    for frame, after in itertools.pairwise(itertools.chain(frames, [None])):
        assert frame is not None
        is_last = after is None or after.row.run != frame.row.run
        yield frame, None if is_last or after is None else max(after.row.pts - frame.row.pts, 0)
    yield None, None
