"""One person of the demo: its expression and position at each time, from a seed."""

import math
import random
from dataclasses import dataclass
from typing import Final

from emostream.services.capture.demo.movement import Pose

HOLD_S, MORPH_S = 3.2, 0.8
BLINK_S, BLINK_EVERY_S = 0.28, 4.1
# The largest head rotations, in degrees.
YAW, PITCH, ROLL = 11.0, 5.0, 6.0
# Widths of the face at 1280 x 720 with three people, in pixels.
SMALLEST, LARGEST = 90.0, 320.0
BREATH_S: Final = 4.3


@dataclass(frozen=True, slots=True)
class Expression:
    """The emotion `now`, the one that comes `after`, and the weight of that one, 0 to 1."""

    now: int
    after: int
    weight: float


class Actor:
    """Person number `index`, who shows `emotions` emotions in an order set by the seed."""

    def __init__(self, index: int, emotions: int, rng: random.Random) -> None:
        self.index = index
        self._order = rng.sample(range(emotions), emotions)
        self._phase = rng.random()
        self._speeds = [rng.uniform(0.85, 1.15) for _ in range(6)]
        self._phases = [rng.uniform(0, math.tau) for _ in range(6)]
        self._blinks = rng.random()

    def wave(self, axis: int, period: float, t: float) -> float:
        """A slow swing from -1 to 1; each axis has its own pace and start."""
        return math.sin(math.tau * t / period * self._speeds[axis] + self._phases[axis])

    def expression(self, t: float) -> Expression:
        """Return the emotions at `t` seconds."""
        step, rest = divmod(t / (HOLD_S + MORPH_S) + self._phase, 1)
        now, after = (self._order[(int(step) + k) % len(self._order)] for k in (0, 1))
        x = max(0.0, (rest * (HOLD_S + MORPH_S) - HOLD_S) / MORPH_S)
        return Expression(now, after, x * x * (3 - 2 * x))

    def pose(self, t: float) -> Pose:
        """Return the pose at `t` seconds."""
        return Pose(
            yaw=YAW * (0.75 * self.wave(0, 7, t) + 0.25 * self.wave(1, 2.9, t)),
            pitch=PITCH * (0.7 * self.wave(1, 5, t) + 0.3 * self.wave(0, 3.1, t)),
            roll=ROLL * self.wave(2, 8, t),
            blink=self.blink(t),
            breath=self.wave(5, BREATH_S, t),
        )

    def _changes(self, t: float) -> bool:
        return self.expression(t).weight > 0

    def blink(self, t: float) -> float:
        """Return how far the eyes are closed, 0 to 1.

        Eyes close quickly and open more slowly, at irregular times within one emotion.
        """
        turn, rest = divmod(t / BLINK_EVERY_S + self._blinks, 1)
        late = 0.5 * random.Random(int(turn) * 31 + self.index).random()
        x = (rest - late) * BLINK_EVERY_S / BLINK_S
        if not 0 < x < 1 or self._changes(t - x * BLINK_S) or self._changes(t + (1 - x) * BLINK_S):
            return 0.0
        closed = x / 0.35 if x < 0.35 else 1.0 if x < 0.5 else (1 - x) / 0.5
        return closed * closed * (3 - 2 * closed)
