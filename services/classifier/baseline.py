"""The personal baseline: a resting face that reads as sad or angry is centered to read neutral."""

from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from emostream.services.classifier.smoothing import NS
from emostream.shared.errors import ConfigError
from emostream.shared.fields import Pts

NEUTRAL: Final = "neutral"
# What follows is in nats of a label's lead over neutral, ln(p / p of neutral). At rest neutral is
# to be twice as probable as any other label.
AT_REST: Final = -0.7
# No label is discounted by more, so that what is plain to see is still shown.
MAX_DISCOUNT: Final = 1.5
# A label with such a lead (4.5 to 1) is an expression beyond doubt, and such a frame no rest.
BEYOND_DOUBT: Final = 1.5
# How fast a discount follows, a second: 22 s from nothing to the most.
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
    """What one track's resting face shows in addition to neutral, and its frames centered on that.

    A label's discount follows the median of its lead over neutral on this track: each frame moves
    it by time (pts) alone, up or down, however far away the frame is. So a short track is hardly
    changed, outbursts count for their length and not for their strength, and frames beyond doubt
    count for nothing. Labels that lie below neutral at rest, as they do on most faces, keep their
    logits.
    """

    def __init__(self, neutral: int, labels: int) -> None:
        """Begin without a discount; `neutral` is the index of neutral among the `labels`."""
        self._neutral = neutral
        self.discounts: NDArray[np.float64] = np.zeros(labels)
        self._pts: int | None = None

    def center(self, probabilities: NDArray[np.floating], pts: int) -> NDArray[np.float64]:
        """Learn from the frame at `pts` (ns), and return its probabilities (C,) centered."""
        logits = _logits(probabilities)
        leads = logits - logits[self._neutral]
        if leads.max() < BEYOND_DOUBT:
            self._follow(leads, self._elapsed(pts))
        self._pts = pts
        return self._discounted(logits)

    def apply(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probabilities (C,) of a frame centered, without learning from it."""
        return self._discounted(_logits(probabilities))

    def state(self) -> State:
        """Return what was learned, exactly."""
        return self.discounts.tolist(), self._pts

    def restore(self, state: State) -> None:
        """Take up what was learned before."""
        self.discounts, self._pts = np.array(state[0]), state[1]

    def _elapsed(self, pts: int) -> float:
        """Return the s since the last frame: none if time went back, a gap for one at most."""
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
