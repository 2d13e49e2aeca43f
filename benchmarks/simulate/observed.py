"""What the headers of answers tell: when frames were captured, and how a pause slows a stage."""

import cmath
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from benchmarks.simulate.processes import SHORTEST_PAUSE_S
from emostream.shared.messages import Emotion

# The slowest frames waited for a core.
COUNTED: Final = 0.95
# Fewer frames, or pauses of about the same length, show no trend.
FEWEST: Final = 20
SMALLEST_SPREAD: Final = 1.0


class Pauses(NamedTuple):
    """The usual pause between two frames of the detector in ms, and the effect of longer ones."""

    usual_ms: float
    exponent: float


def phases(answers: Sequence[Emotion], fps: float) -> tuple[float, ...]:
    """Return when each stream captures, as a share of the time between its frames, by name."""
    turns = defaultdict[str, list[complex]](list)
    begin = min(answer.t for answer in answers)
    for answer in answers:
        # As directions, because a share of almost 1 is next to 0.
        share = (answer.t - begin) / 1e9 * fps
        turns[answer.stream].append(cmath.exp(2j * math.pi * share))
    return tuple(cmath.phase(sum(turns[stream])) / (2 * math.pi) % 1 for stream in sorted(turns))


def pauses(answers: Sequence[Emotion]) -> Pauses:
    """Return how the time in detector and classifier grows with the detector's pause before it."""
    marks = sorted((answer.marks["detector"], answer.marks["classifier"]) for answer in answers)
    detector, classifier = (np.array(each, float) / 1e9 for each in zip(*marks, strict=True))
    pause = detector[1:, 0] - detector[:-1, 1]
    taken = np.diff(detector)[1:, 0] + np.diff(classifier)[1:, 0]
    counted = (pause > SHORTEST_PAUSE_S) & (taken <= np.quantile(taken, COUNTED))
    pause, taken = np.log(pause[counted]), np.log(taken[counted])
    usual = math.exp(pause.mean()) if len(pause) else SHORTEST_PAUSE_S
    if len(pause) < FEWEST or np.ptp(pause) < SMALLEST_SPREAD:
        return Pauses(1000 * usual, 0.0)
    return Pauses(1000 * usual, max(0.0, float(np.polyfit(pause, taken, 1)[0])))
