"""The pose of a head, from four landmarks and the mean shape of a face.

Eyes, nose and mouth are treated as a rigid body seen from afar (scaled orthographic projection).
Its rotation follows from four points by linear equations: the POS algorithm of DeMenthon and Davis,
"Model-based object pose in 25 lines of code" (IJCV 1995). The body is MediaPipe's canonical face
model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from emostream.shared.messages import Point

# Positions of mouth and tip of the nose relative to the center between the eyes, in distances
# between the eyes: down, and away from the camera. Eyes and mouth are the means of their corners
# (vertices 33, 133, 362, 263, 61 and 291 of the canonical face model), the tip of the nose is
# vertex 1.
MOUTH: Final = (1.106, -0.130)
NOSE: Final = (0.595, -0.636)
FROM_MODEL: Final = np.linalg.inv(np.array([MOUTH, NOSE]).T)


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
    right_eye, left_eye, nose, mouth = np.array(landmarks, np.float64)
    middle = (right_eye + left_eye) / 2
    down_and_away = np.stack([mouth - middle, nose - middle], axis=1) @ FROM_MODEL
    # Columns: the picture's direction for a step right, down and away in the head.
    rows = np.column_stack([left_eye - right_eye, down_and_away])
    lengths = np.linalg.norm(rows, axis=1)
    if not np.isfinite(rows).all() or lengths.min() < 1e-6:
        return None
    right, down = rows / lengths[:, None]
    away = np.array(
        [
            right[1] * down[2] - right[2] * down[1],
            right[2] * down[0] - right[0] * down[2],
            right[0] * down[1] - right[1] * down[0],
        ]
    )
    if np.linalg.norm(away) < 1e-6:
        return None
    # The nearest rotation, because with noise the two rows have different lengths and are not
    # orthogonal.
    left, _, other = np.linalg.svd(np.stack([right, down, away / np.linalg.norm(away)]))
    rotation = left @ other
    yaw, pitch, roll = np.degrees(
        [
            np.arcsin(np.clip(rotation[2, 0], -1, 1)),
            np.arctan2(-rotation[2, 1], rotation[2, 2]),
            np.arctan2(rotation[1, 0], rotation[0, 0]),
        ]
    ).tolist()
    return HeadPose(yaw, pitch, roll)
