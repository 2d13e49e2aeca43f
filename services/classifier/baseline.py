"""The personal baseline: centers a resting face that looks sad or angry on neutral."""

from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from emostream.services.classifier.smoothing import NS
from emostream.shared.errors import ConfigError
from emostream.shared.fields import Pts

NEUTRAL: Final = "neutral"
# These values are in nats of a label's lead over neutral, ln(p / p of neutral). At rest, neutral
# should be twice as probable as any other label.
AT_REST: Final = -0.7
# The maximum discount of a label, so that clear expressions are still shown.
MAX_DISCOUNT: Final = 1.5
# A label with this lead (4.5 to 1) is a definite expression, so the frame is not a resting face.
BEYOND_DOUBT: Final = 1.5
# The rate of change of a discount per second: 22 s from zero to the maximum.
RATE: Final = 1 / 15
LONGEST_STEP_S: Final = 1.0
# The discounts, and the pts of the last frame.
State: TypeAlias = tuple[list[Annotated[float, Meta(ge=0.0, le=MAX_DISCOUNT)]], Pts | None]
SMALLEST: Final = 1e-7


def neutral_index(labels: Sequence[str], model: str) -> int:
    """Return the index of the label neutral; ConfigError if the model has none."""
    names = [label.casefold() for label in labels]
    if NEUTRAL not in names:
        raise ConfigError(
            f"classifier.baseline: model {model} has no label {NEUTRAL} to center on "
            f"(it has {', '.join(labels)}); set it to false"
        )
    return names.index(NEUTRAL)


class Baseline:
    """Learns the resting face of one track, and centers its frames on it.

    A label's discount follows the median of its lead over neutral on this track. Each frame moves
    it up or down by an amount that depends only on time (pts), not on the distance. So a short
    track is hardly changed, outbursts count by their duration and not by their strength, and frames
    with a definite expression do not count. Labels that are below neutral at rest, as on most
    faces, keep their logits.
    """

    def __init__(self, neutral: int, labels: int) -> None:
        """Create without a discount; `neutral` is the index of neutral among the `labels`."""
        self._neutral = neutral
        self.discounts: NDArray[np.float64] = np.zeros(labels)
        self._pts: int | None = None

    def center(self, probabilities: NDArray[np.floating], pts: int) -> NDArray[np.float64]:
        """Learn from the frame at `pts` (ns), and return its centered probabilities (C,)."""
        logits = _logits(probabilities)
        leads = logits - logits[self._neutral]
        if leads.max() < BEYOND_DOUBT:
            self._follow(leads, self._elapsed(pts))
        self._pts = pts
        return self._discounted(logits)

    def apply(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the centered probabilities (C,) of a frame, without learning from it."""
        return self._discounted(_logits(probabilities))

    def state(self) -> State:
        """Return the learned state, exactly."""
        return self.discounts.tolist(), self._pts

    def restore(self, state: State) -> None:
        """Continue from a learned state."""
        self.discounts, self._pts = np.array(state[0]), state[1]

    def _elapsed(self, pts: int) -> float:
        """Return the time in s since the last frame, from 0 to the maximum gap."""
        if self._pts is None:
            return 0.0
        return min(max((pts - self._pts) / NS, 0.0), LONGEST_STEP_S)

    def _follow(self, leads: NDArray[np.float64], elapsed: float) -> None:
        wanted = np.clip(leads - AT_REST, 0.0, MAX_DISCOUNT)
        wanted[self._neutral] = 0.0
        step = RATE * elapsed
        self.discounts += np.clip(wanted - self.discounts, -step, step)

    def _discounted(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        powers = np.exp(logits - self.discounts)
        return np.asarray(powers / powers.sum(), np.float64)


def _logits(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.log(np.maximum(np.asarray(probabilities, np.float64), SMALLEST))
