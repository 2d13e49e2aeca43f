"""Face crops aligned like the training data: eyes and mouth at the same positions."""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models.crop_size import CROP
from emostream.shared.messages import Box, Point
from emostream.shared.pixels import Image

Floats: TypeAlias = NDArray[np.float64]

# The mean positions of right eye, left eye and mouth center in the training faces, as shares of the
# side, and the square around a Haar cascade box in them, in units of the box. `python -m
# benchmarks.alignment` measures both.
TEMPLATE = np.array([(0.318, 0.397), (0.663, 0.388), (0.504, 0.751)])
SQUARE_SIDE = 1.03
SQUARE_CENTER = (0.5, 0.5)

# Crops are narrower than these, around the same center. Both were measured in enlarged training
# faces, which have no surroundings. In a frame, crops of the full width contain more background
# than the training faces, and their labels are right less often (models/EXPERIMENTS.md; `python -m
# benchmarks.alignment --scales` compares widths).
SCALE = 0.9
# The positions of right eye, left eye and mouth center in the crop, as shares of its side.
IN_CROP = 0.5 + (TEMPLATE - 0.5) / SCALE
IN_CROP_CENTER = complex(*IN_CROP.mean(axis=0))
CENTERED = [complex(x, y) - IN_CROP_CENTER for x, y in IN_CROP.tolist()]

# The crop's side divided by the longer side of the face's box; SCALE on average with YuNet.
# Landmarks that require anything beyond this range do not belong to a face.
LEAST_SIDE, MOST_SIDE = 0.5 * SCALE, 3.0 * SCALE
SUPERSAMPLING = 2


class Located(Protocol):
    """A face in a frame: its box and, if known, its landmarks."""

    @property
    def box(self) -> Box:
        """x, y, width and height in frame pixels."""

    @property
    def landmarks(self) -> Sequence[Point]:
        """Right eye, left eye, nose and mouth center in frame pixels, or empty."""


def align(frame: Image, faces: Sequence[Located], size: int = CROP) -> Image:
    """Return the face crops from `frame` as gray uint8 (N, size, size), contiguous.

    The frame is uint8 (H, W, 3) BGR, or (H, W) gray.

    With landmarks, the face is rotated, scaled and shifted so that eyes and mouth are at `IN_CROP`.
    Without landmarks, the crop is a square around the box. Pixels beyond the frame repeat its
    border.
    """
    crops = np.empty((len(faces), size, size), np.uint8)
    for crop, face in zip(crops, faces, strict=True):
        crop[...] = sample(frame, placement(face), size)
    return crops


def placement(face: Located) -> Floats:
    """Return the 2 x 3 matrix from the unit square (the crop) to frame pixels."""
    if len(face.landmarks) == 4:
        right_eye, left_eye, _, mouth = face.landmarks
        matrix = similarity((right_eye, left_eye, mouth))
        side = math.hypot(matrix[0, 0], matrix[1, 0]) / max(face.box[2:])
        if LEAST_SIDE < side < MOST_SIDE:
            return matrix
    return square(face.box)


def similarity(points: Iterable[Sequence[float]]) -> Floats:
    """Fit right eye, left eye and mouth to `IN_CROP`; return the inverse matrix, 2 x 3.

    The squared errors are minimized in the crop, as in Umeyama (1991) without reflection, so that a
    face in profile, whose eyes are close together, keeps its size. If all points coincide, the
    matrix is zero.
    """
    # For three points, plain floats take a tenth of the time of NumPy calls.
    found = [complex(x, y) for x, y in points]
    mean = sum(found) / len(found)
    spread = sum(abs(point - mean) ** 2 for point in found)
    pairs = zip(found, CENTERED, strict=True)
    likeness = sum((point - mean).conjugate() * target for point, target in pairs)
    turn = spread / likeness if abs(likeness) > 1e-9 else 0j
    origin = mean - turn * IN_CROP_CENTER
    return np.array([[turn.real, -turn.imag, origin.real], [turn.imag, turn.real, origin.imag]])


def square(box: Box) -> Floats:
    """Return the 2 x 3 matrix from the unit square to a square around `box`."""
    x, y, width, height = box
    side = SCALE * SQUARE_SIDE * max(width, height)
    left = x + SQUARE_CENTER[0] * width - side / 2
    top = y + SQUARE_CENTER[1] * height - side / 2
    return np.array([[side, 0, left], [0, side, top]])


def sample(frame: Image, matrix: Floats, size: int) -> Image:
    """Sample the unit square placed in `frame` by `matrix` as gray uint8 (size, size).

    To avoid aliasing, the frame is halved until it has at most two pixels per crop pixel, then
    sampled at twice the crop's size and averaged.
    """
    a, b, x = matrix[0].tolist()
    c, d, y = matrix[1].tolist()
    side = math.hypot(a, c)
    height, width = frame.shape[:2]
    halvings = 0
    while side / 2**halvings >= SUPERSAMPLING * size:
        halvings += 1
    margin = 2 + side / 16
    # OpenCV halves even sides several times as fast as odd ones.
    left, right = _span((x, x + a, x + b, x + a + b), margin, width, 2**halvings)
    top, bottom = _span((y, y + c, y + d, y + c + d), margin, height, 2**halvings)
    gray = frame[top:bottom, left:right]
    if gray.ndim == 3:
        gray = np.asarray(cv2.cvtColor(gray, cv2.COLOR_BGR2GRAY), np.uint8)
    for _ in range(halvings):
        half = (max(1, gray.shape[1] // 2), max(1, gray.shape[0] // 2))
        gray = np.asarray(cv2.resize(gray, half, interpolation=cv2.INTER_AREA))
    fine = SUPERSAMPLING * size
    across, down = gray.shape[1] / (right - left), gray.shape[0] / (bottom - top)
    # Converts to pixel indices. Positions are measured from a pixel's corner and indices from its
    # center, which explains the halves.
    a, b, c, d = (share / fine for share in (a * across, b * across, c * down, d * down))
    x = (x - left) * across + (a + b) / 2 - 0.5
    y = (y - top) * down + (c + d) / 2 - 0.5
    drawn = cv2.warpAffine(
        gray,
        np.array([[a, b, x], [c, d, y]]),
        (fine, fine),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _span(corners: Sequence[float], margin: float, length: int, step: int) -> tuple[int, int]:
    """Return the range of frame pixels that the corners span, with a margin; at least one.

    Its ends are multiples of `step`, or the end of the frame.
    """
    low = math.floor(min(max(min(corners) - margin, 0), length - 1))
    high = math.ceil(min(max(max(corners) + margin, low + 1), length))
    return low - low % step, min(high + -high % step, length)
