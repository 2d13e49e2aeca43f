"""Smooths a track's probabilities over time, and selects its displayed label."""

import math
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.shared.config import Classifier as Settings
from emostream.shared.fields import Number, Pts, Share

Values: TypeAlias = NDArray[np.float64]
# Evidence, smoothed, pts, label, since, and the start times of labels that are ahead.
State: TypeAlias = tuple[list[Share], list[Share], Pts, Number, Pts, list[tuple[Number, Pts]]]

NS = 1_000_000_000
# A frame may be out of order by this much, ns; further back, the source's clock was set back.
OUT_OF_ORDER = NS // 2
# At a crossing of labels, a second exponential delays by slightly less than its time constant; from
# `python -m benchmarks.label_stability`.
LAG_PER_DELAY = 1.1


@dataclass(frozen=True)
class SmoothingRules:
    """The stability of labels, in seconds of pts; `hysteresis` is a probability difference.

    After a definite change (from probability 1 of one label to 1 of another), the displayed label
    follows within `smoothing` x ln(2 / (1 - `hysteresis`)) + `hold` s and two frames: 0.60 s and
    two frames with these defaults.
    """

    smoothing: float = 0.5
    hysteresis: float = 0.1
    hold: float = 0.2
    leave_after: float = 1.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the rules from the classifier's configuration."""
        return cls(settings.smoothing, settings.hysteresis, settings.hold, settings.leave_after)

    @property
    def lag(self) -> float:
        """The time constant of the second smoothing, in seconds.

        It matches the delay of the label by hysteresis and hold, so that the strongest smoothed
        probability changes together with the label.
        """
        if not self.smoothing:
            return 0.0
        return LAG_PER_DELAY * (self.hold + self.smoothing * self.hysteresis)


class ShownLabel:
    """The displayed label of one track, which follows real changes without flickering.

    Probabilities are exponentially smoothed over pts (ns), at any intervals. This is the evidence.
    The label changes when another label's evidence has been higher by more than `hysteresis`,
    without a break, for `hold` seconds. `smoothed` are the probabilities to display: the evidence,
    smoothed again with the time constant `rules.lag`.
    """

    def __init__(
        self, rules: SmoothingRules, probabilities: NDArray[np.floating], pts: int
    ) -> None:
        self._rules = rules
        self._pts = pts
        self._ahead: dict[int, int] = {}
        self._evidence = np.asarray(probabilities, np.float64)
        self.smoothed = self._evidence
        self.label = int(np.argmax(self.smoothed))
        self.since = pts

    @property
    def confidence(self) -> float:
        """The smoothed probability of the displayed label."""
        return float(self.smoothed[self.label])

    def update(self, probabilities: NDArray[np.floating], pts: int) -> bool:
        """Take the probabilities (C,) of the frame at `pts`; return whether the label changed.

        Afterward, `label` is the index of the displayed label, `since` the pts at which it took the
        lead. A pts below the last one (a frame out of order, or a file that starts over) counts as
        no time passed.
        """
        elapsed = pts - self._pts
        if elapsed < -OUT_OF_ORDER:
            self._ahead = {}
        self._pts = pts
        self._smooth(np.asarray(probabilities, np.float64), max(elapsed, 0) / NS)
        return self._choose(pts)

    def interrupt(self) -> None:
        """Forget how long other labels have been ahead, after a gap without results."""
        self._ahead = {}

    def state(self) -> State:
        """Return the complete state, for `restore`."""
        ahead = list(self._ahead.items())
        evidence, smoothed = self._evidence.tolist(), self.smoothed.tolist()
        return evidence, smoothed, self._pts, self.label, self.since, ahead

    def restore(self, state: State) -> None:
        """Continue from a state."""
        evidence, smoothed, self._pts, self.label, self.since, ahead = state
        self._evidence, self.smoothed = np.array(evidence), np.array(smoothed)
        self._ahead = dict(ahead)

    def _smooth(self, probabilities: Values, elapsed: float) -> None:
        """Apply the probabilities of the last `elapsed` seconds, independent of the frame rate.

        This is the exact response of two exponentials in series to a constant input.
        """
        kept, passed = cascade_response(elapsed, self._rules.smoothing, self._rules.lag)
        difference = self._evidence - probabilities
        smoothed = probabilities + kept * (self.smoothed - probabilities) + passed * difference
        # Rounding must not exceed the range of the wire format.
        self.smoothed = np.clip(smoothed, 0.0, 1.0)
        self._evidence = probabilities + decay(elapsed, self._rules.smoothing) * difference

    def _choose(self, pts: int) -> bool:
        lead = self._evidence - self._evidence[self.label]
        ahead = np.flatnonzero(lead > self._rules.hysteresis).tolist()
        self._ahead = {label: self._ahead.get(label, pts) for label in ahead}
        hold = self._rules.hold * NS
        steady = [label for label, since in self._ahead.items() if pts - since >= hold]
        if not steady:
            return False
        self.label = max(steady, key=lambda label: float(self._evidence[label]))
        self.since = self._ahead[self.label]
        self._ahead = {}
        return True


def decay(elapsed: float, constant: float) -> float:
    """Return the remaining share of a difference after `elapsed` s, 0 for a time constant of 0."""
    return math.exp(-elapsed / constant) if constant else 0.0


def cascade_response(elapsed: float, first: float, second: float) -> tuple[float, float]:
    """Return the response of two exponentials in series after `elapsed` s: (kept, passed).

    `kept` is the remaining share of the second one's difference from the input, `passed` the share
    of the first one's difference that passes through. `first` and `second` are time constants in s.
    """
    kept = decay(elapsed, second)
    if math.isclose(first, second):
        return kept, elapsed / first * kept if first else 0.0
    return kept, first / (first - second) * (decay(elapsed, first) - kept)
