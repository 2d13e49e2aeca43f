"""The outcome of a simulation."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Outcome:
    """The outcome for frames captured in the measured time of `seconds`.

    `ages` are the end-to-end ages of answers in that time, in s; `busy` is the utilization of the
    busiest detector, all detectors (mean), the busiest classifier, and all classifiers (mean).
    """

    seconds: float
    captured: int = 0
    answered: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    ages: list[float] = field(default_factory=list)
    busy: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @property
    def answers_per_s(self) -> float:
        """Answers per second."""
        return len(self.ages) / self.seconds

    @property
    def dropped_percent(self) -> float:
        """The share of captured frames without an answer."""
        return 100 * (1 - self.answered / self.captured) if self.captured else 0.0

    def age_ms(self, percent: float) -> float:
        """Return a percentile of the ages in ms; NaN without an answer."""
        return float(np.percentile(self.ages, percent)) * 1000 if self.ages else float("nan")
