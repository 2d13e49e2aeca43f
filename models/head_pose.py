"""The pose of a head, from four landmarks and the mean shape of a face.

Eyes, nose and mouth are treated as a rigid body seen from afar (scaled orthographic projection).
Its rotation follows from four points by linear equations: the POS algorithm of DeMenthon and Davis,
"Model-based object pose in 25 lines of code" (IJCV 1995). The body is MediaPipe's canonical face
model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from emostream.shared.messages import Point

# Positions of mouth and tip of the nose relative to the center between the eyes, in distances
# between the eyes: down, and away from the camera. Eyes and mouth are the means of their corners
# (vertices 33, 133, 362, 263, 61 and 291 of the canonical face model), the tip of the nose is
# vertex 1.
MOUTH: Final = (1.106, -0.130)
NOSE: Final = (0.595, -0.636)
FROM_MODEL: Final = np.linalg.inv(np.array([MOUTH, NOSE]).T).tolist()

# A direction or step in space.
Direction: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class HeadPose:
    """The pose of a head in degrees; 0, 0, 0 looks into the camera, upright.

    A positive `yaw` turns to the person's left (the right side of the picture), a positive `pitch`
    up, and a positive `roll` tilts clockwise in the picture.
    """

    yaw: float
    pitch: float
    roll: float


def head_pose(landmarks: Sequence[Point]) -> HeadPose | None:
    """Return the pose from right eye, left eye, nose and mouth center.

    Returns None if there are not four points, or if they coincide or are on a line.
    """
    if len(landmarks) != 4:
        return None
    # For four points, plain floats take a tenth of the time of NumPy calls.
    across, along = (_unit(_row(*positions)) for positions in zip(*landmarks, strict=True))
    if across is None or along is None:
        return None
    (a, b, c), (d, e, f) = across, along
    away = _unit((b * f - c * e, c * d - a * f, a * e - b * d))
    # The nearest rotation, because with noise the two rows have different lengths and are not
    # orthogonal: each turns by the same angle, so that their sum and difference stay where they
    # are.
    both, apart = _unit((a + d, b + e, c + f)), _unit((a - d, b - e, c - f))
    if away is None or both is None or apart is None:
        return None
    return HeadPose(
        math.degrees(math.asin(min(max(away[0], -1.0), 1.0))),
        math.degrees(math.atan2(-away[1], away[2])),
        math.degrees(math.atan2(both[0] - apart[0], both[0] + apart[0])),
    )


def _row(right_eye: float, left_eye: float, nose: float, mouth: float) -> Direction:
    """Return one coordinate of a step right, down and away in the head."""
    middle = (right_eye + left_eye) / 2
    down, away = mouth - middle, nose - middle
    (a, b), (c, d) = FROM_MODEL
    return left_eye - right_eye, a * down + c * away, b * down + d * away


def _unit(step: Direction) -> Direction | None:
    """Return the direction of a step, None if it has none."""
    length = math.hypot(*step)
    if not 1e-6 <= length < math.inf:
        return None
    return step[0] / length, step[1] / length, step[2] / length
