"""A track's probabilities smoothed over time, and the label that is shown for it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NS = 1_000_000_000
# A frame may come so much too late, ns; further back, the source's clock was set back.
OUT_OF_ORDER = NS // 2


@dataclass(frozen=True)
class SmoothingRules:
    """How steady a label is, in seconds of pts; `hysteresis` is a difference of probabilities.

    After a sure change (from probability 1 of one label to 1 of another) the shown label follows
    within `smoothing` x ln(2 / (1 - `hysteresis`)) + `hold` s and two frames: 0.70 s and two frames
    with these defaults.
    """

    smoothing: float = 0.5
    hysteresis: float = 0.1
    hold: float = 0.3
    leave_after: float = 1.0


class ShownLabel:
    """The label that is shown for one track: it follows true changes and does not flicker.

    Probabilities are smoothed exponentially on pts (ns), at whatever intervals they come. The
    label changes to one whose smoothed probability was higher than its own by more than
    `hysteresis`, without a break, for `hold` seconds.
    """

    def __init__(
        self, rules: SmoothingRules, probabilities: NDArray[np.floating], pts: int
    ) -> None:
        self._rules = rules
        self._pts = pts
        self._ahead: dict[int, int] = {}
        self.smoothed = np.asarray(probabilities, np.float64)
        self.label = int(np.argmax(self.smoothed))
        self.since = pts

    @property
    def confidence(self) -> float:
        """The smoothed probability of the shown label."""
        return float(self.smoothed[self.label])

    def update(self, probabilities: NDArray[np.floating], pts: int) -> bool:
        """Take the probabilities (C,) of the frame at `pts`; return whether the label changed.

        `label` is the index of the shown one, `since` the pts at which it came ahead. A pts below
        the last one, as of a frame out of order or where a file starts over, counts as no time
        passed.
        """
        elapsed = pts - self._pts
        if elapsed < -OUT_OF_ORDER:
            self._ahead = {}
        self._pts = pts
        weight = self._weight(max(elapsed, 0))
        self.smoothed = self.smoothed + weight * (probabilities - self.smoothed)
        return self._choose(pts)

    def interrupt(self) -> None:
        """Forget how long other labels have been ahead: nobody knows what was shown meanwhile."""
        self._ahead = {}

    def state(self) -> tuple[list[float], int, int, int, list[tuple[int, int]]]:
        """Return all that it goes on from, exactly."""
        ahead = list(self._ahead.items())
        return self.smoothed.tolist(), self._pts, self.label, self.since, ahead

    def restore(self, state: tuple[list[float], int, int, int, list[tuple[int, int]]]) -> None:
        """Go on from there."""
        smoothed, self._pts, self.label, self.since, ahead = state
        self.smoothed, self._ahead = np.array(smoothed), dict(ahead)

    def _weight(self, elapsed: int) -> float:
        if self._rules.smoothing == 0:
            return 1.0
        return -math.expm1(-elapsed / NS / self._rules.smoothing)

    def _choose(self, pts: int) -> bool:
        ahead = np.flatnonzero(self.smoothed > self.confidence + self._rules.hysteresis).tolist()
        self._ahead = {label: self._ahead.get(label, pts) for label in ahead}
        hold = self._rules.hold * NS
        steady = [label for label, since in self._ahead.items() if pts - since >= hold]
        if not steady:
            return False
        self.label = max(steady, key=lambda label: float(self.smoothed[label]))
        self.since = self._ahead[self.label]
        self._ahead = {}
        return True
