"""Which faces count: those of sufficient quality whose track was seen often enough."""

from dataclasses import dataclass
from typing import Final

from emostream.shared.messages import LeftOut, Quality

# A face without a quality, from a detector that does not measure it, counts as good.
UNKNOWN: Final = 1.0


@dataclass(frozen=True)
class InclusionCriteria:
    """A face needs `min_quality` (0..1) to count, its track `enter_frames` such frames to enter."""

    min_quality: float = 0.0
    enter_frames: int = 1

    def is_good(self, quality: Quality | None) -> bool:
        """Whether this quality is sufficient."""
        return (UNKNOWN if quality is None else quality.overall) >= self.min_quality

    def reason(self, quality: Quality | None, good_frames: int) -> LeftOut:
        """Return why a face is left out, "" if it counts.

        `good_frames` is the number of good frames of its track so far, including this one.
        """
        if not self.is_good(quality):
            return "quality"
        return "new" if good_frames < self.enter_frames else ""
