"""Crops of faces that look like the training data: eyes and mouth where they lie there."""

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

# Where right eye, left eye and middle of the mouth lie on average in the training faces, as
# shares of their side, and the square around a box that a Haar cascade finds in them, in units
# of the box. `python -m benchmarks.alignment` measures both.
TEMPLATE = np.array([(0.318, 0.397), (0.663, 0.388), (0.504, 0.751)])
TEMPLATE_CENTER = complex(*TEMPLATE.mean(axis=0))
CENTERED_TEMPLATE = [complex(x, y) - TEMPLATE_CENTER for x, y in TEMPLATE.tolist()]
SQUARE_SIDE = 1.03
SQUARE_CENTER = (0.5, 0.5)

# The crop's side over the longer side of the face's box; 1.0 in the mean with YuNet.
# Landmarks that ask for anything beyond are not those of a face.
LEAST_SIDE, MOST_SIDE = 0.5, 3.0
SUPERSAMPLING = 2


class Located(Protocol):
    """A face in a frame: its box and, where known, its landmarks."""

    @property
    def box(self) -> Box:
        """x, y, width and height in pixels of the frame."""

    @property
    def landmarks(self) -> Sequence[Point]:
        """Right eye, left eye, nose and middle of the mouth in pixels of the frame, or none."""


def align(frame: Image, faces: Sequence[Located], size: int = CROP) -> Image:
    """Cut the faces out of `frame` as gray uint8 (N, size, size), contiguous.

    The frame is uint8 (H, W, 3) BGR, or (H, W) gray.

    With landmarks the face is turned, scaled and moved so that eyes and mouth come to lie as in
    the training faces; without them it is a square about its box. What lies beyond the frame's
    border repeats the border.
    """
    crops = np.empty((len(faces), size, size), np.uint8)
    for crop, face in zip(crops, faces, strict=True):
        crop[...] = sample(frame, placement(face), size)
    return crops


def placement(face: Located) -> Floats:
    """Return the 2 x 3 matrix that takes the unit square (the crop) to pixels of the frame."""
    if len(face.landmarks) == 4:
        right_eye, left_eye, _, mouth = face.landmarks
        matrix = similarity((right_eye, left_eye, mouth))
        side = math.hypot(matrix[0, 0], matrix[1, 0]) / max(face.box[2:])
        if LEAST_SIDE < side < MOST_SIDE:
            return matrix
    return square(face.box)


def similarity(points: Iterable[Sequence[float]]) -> Floats:
    """Fit right eye, left eye and mouth to the template; return the matrix back, 2 x 3.

    The least squares are taken in the crop, as Umeyama (1991) does without reflection: a face in
    profile, whose eyes lie close together, then keeps its size. Points that all coincide give a
    matrix of zeros.
    """
    # Three points: plain numbers take a tenth of the time that NumPy's calls do.
    found = [complex(x, y) for x, y in points]
    mean = sum(found) / len(found)
    spread = sum(abs(point - mean) ** 2 for point in found)
    pairs = zip(found, CENTERED_TEMPLATE, strict=True)
    likeness = sum((point - mean).conjugate() * target for point, target in pairs)
    turn = spread / likeness if abs(likeness) > 1e-9 else 0j
    origin = mean - turn * TEMPLATE_CENTER
    return np.array([[turn.real, -turn.imag, origin.real], [turn.imag, turn.real, origin.imag]])


def square(box: Box) -> Floats:
    """Return the 2 x 3 matrix that takes the unit square to a square about `box`."""
    x, y, width, height = box
    side = SQUARE_SIDE * max(width, height)
    left = x + SQUARE_CENTER[0] * width - side / 2
    top = y + SQUARE_CENTER[1] * height - side / 2
    return np.array([[side, 0, left], [0, side, top]])


def sample(frame: Image, matrix: Floats, size: int) -> Image:
    """Draw the unit square that `matrix` places in `frame` as gray uint8 (size, size).

    No detail is skipped, so that nothing aliases: the frame is halved until it has at most two
    pixels for one of the crop, then sampled at twice the crop's size and averaged.
    """
    a, b, x = matrix[0].tolist()
    c, d, y = matrix[1].tolist()
    side = math.hypot(a, c)
    height, width = frame.shape[:2]
    margin = 2 + side / 16
    left, right = _span((x, x + a, x + b, x + a + b), margin, width)
    top, bottom = _span((y, y + c, y + d, y + c + d), margin, height)
    gray = frame[top:bottom, left:right]
    if gray.ndim == 3:
        gray = np.asarray(cv2.cvtColor(gray, cv2.COLOR_BGR2GRAY), np.uint8)
    while side >= SUPERSAMPLING * size:
        half = (max(1, gray.shape[1] // 2), max(1, gray.shape[0] // 2))
        gray = np.asarray(cv2.resize(gray, half, interpolation=cv2.INTER_AREA))
        side /= 2
    fine = SUPERSAMPLING * size
    across, down = gray.shape[1] / (right - left), gray.shape[0] / (bottom - top)
    # Between pixel indices. Positions are measured from a pixel's corner, indices count its center:
    # therefore the halves.
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


def _span(corners: Sequence[float], margin: float, length: int) -> tuple[int, int]:
    """Return which pixels of a side of the frame the corners span, with a margin; one at least."""
    low = math.floor(min(max(min(corners) - margin, 0), length - 1))
    return low, math.ceil(min(max(max(corners) + margin, low + 1), length))
