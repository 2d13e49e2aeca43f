"""What became of the frames of a simulation."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Outcome:
    """What became of the frames that were captured in the measured time of `seconds`.

    `ages` are those of the answers that came in that time, in s, as a subscriber sees it; `busy` is
    the share of their time that the busiest detector, the mean of the detectors, the busiest
    classifier and their mean compute.
    """

    seconds: float
    captured: int = 0
    answered: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    ages: list[float] = field(default_factory=list)
    busy: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @property
    def answers_per_s(self) -> float:
        """Answers that came a second."""
        return len(self.ages) / self.seconds

    @property
    def dropped_percent(self) -> float:
        """The share of the captured frames that is not answered."""
        return 100 * (1 - self.answered / self.captured) if self.captured else 0.0

    def age_ms(self, percent: float) -> float:
        """Return a percentile of the ages in ms; NaN without an answer."""
        return float(np.percentile(self.ages, percent)) * 1000 if self.ages else float("nan")
