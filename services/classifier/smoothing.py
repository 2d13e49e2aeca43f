"""A track's probabilities smoothed over time, and the label that is shown for it."""

import math
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.shared.config import Classifier as Settings
from emostream.shared.fields import Number, Pts, Share

Values: TypeAlias = NDArray[np.float64]
# Evidence, smoothed, pts, label, since, and since when which labels have been ahead.
State: TypeAlias = tuple[list[Share], list[Share], Pts, Number, Pts, list[tuple[Number, Pts]]]

NS = 1_000_000_000
# A frame may come so much too late, ns; further back, the source's clock was set back.
OUT_OF_ORDER = NS // 2
# Where labels cross, another exponential delays by a little less than its time constant; by `python
# -m benchmarks.label_stability`.
LAG_PER_DELAY = 1.1


@dataclass(frozen=True)
class SmoothingRules:
    """How steady a label is, in seconds of pts; `hysteresis` is a difference of probabilities.

    After a sure change (from probability 1 of one label to 1 of another) the shown label follows
    within `smoothing` x ln(2 / (1 - `hysteresis`)) + `hold` s and two frames: 0.60 s and two frames
    with these defaults.
    """

    smoothing: float = 0.5
    hysteresis: float = 0.1
    hold: float = 0.2
    leave_after: float = 1.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the rules that the classifier's configuration has."""
        return cls(settings.smoothing, settings.hysteresis, settings.hold, settings.leave_after)

    @property
    def lag(self) -> float:
        """The time constant that smooths the evidence once more, in seconds.

        It is as long as hysteresis and hold delay the label, so that the strongest of the smoothed
        probabilities changes when the label does.
        """
        if not self.smoothing:
            return 0.0
        return LAG_PER_DELAY * (self.hold + self.smoothing * self.hysteresis)


class ShownLabel:
    """The label that is shown for one track: it follows true changes and does not flicker.

    Probabilities are smoothed exponentially on pts (ns), at whatever intervals they come. That is
    the evidence: the label changes to one whose evidence was higher than its own by more than
    `hysteresis`, without a break, for `hold` seconds. `smoothed` are the probabilities to show: the
    evidence smoothed once more, as long as `rules.lag` says.
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
        self._smooth(np.asarray(probabilities, np.float64), max(elapsed, 0) / NS)
        return self._choose(pts)

    def interrupt(self) -> None:
        """Forget how long other labels have been ahead: nobody knows what was shown meanwhile."""
        self._ahead = {}

    def state(self) -> State:
        """Return all that it continues from, exactly."""
        ahead = list(self._ahead.items())
        evidence, smoothed = self._evidence.tolist(), self.smoothed.tolist()
        return evidence, smoothed, self._pts, self.label, self.since, ahead

    def restore(self, state: State) -> None:
        """Continue from there."""
        evidence, smoothed, self._pts, self.label, self.since, ahead = state
        self._evidence, self.smoothed = np.array(evidence), np.array(smoothed)
        self._ahead = dict(ahead)

    def _smooth(self, probabilities: Values, elapsed: float) -> None:
        """Follow the probabilities of the last `elapsed` seconds, at any rate of frames alike.

        The exact answer of two exponentials in series to an input that was constant meanwhile.
        """
        kept, passed = cascade_response(elapsed, self._rules.smoothing, self._rules.lag)
        difference = self._evidence - probabilities
        smoothed = probabilities + kept * (self.smoothed - probabilities) + passed * difference
        # Rounding must not leave the range that the wire format allows.
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
    """Return what is left of a difference after `elapsed` s; all times are s, 0 forgets at once."""
    return math.exp(-elapsed / constant) if constant else 0.0


def cascade_response(elapsed: float, first: float, second: float) -> tuple[float, float]:
    """Return what is left after `elapsed` s behind two exponentials in series: (kept, passed).

    `kept` is the share of the second one's own difference from the input, `passed` that of the
    first one's difference, which comes through. `first` and `second` are time constants.
    """
    kept = decay(elapsed, second)
    if math.isclose(first, second):
        return kept, elapsed / first * kept if first else 0.0
    return kept, first / (first - second) * (decay(elapsed, first) - kept)
