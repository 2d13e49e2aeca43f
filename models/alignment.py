"""Crops of faces that look like the training data: eyes and mouth where they lie there."""

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.shared.messages import Box, Point
from emostream.shared.pixels import Image

Floats: TypeAlias = NDArray[np.float64]

# Where right eye, left eye and middle of the mouth lie on average in the training faces, as
# shares of their side, and the square around a box that a Haar cascade finds in them, in units
# of the box. `python -m benchmarks.alignment` measures both.
TEMPLATE = np.array([(0.318, 0.397), (0.663, 0.388), (0.504, 0.751)])
SQUARE_SIDE = 1.03
SQUARE_CENTRE = (0.5, 0.5)

# The crop's side over the longer side of the face's box; 1.0 in the mean with YuNet.
# Landmarks that ask for anything beyond are not those of a face.
LEAST_SIDE, MOST_SIDE = 0.5, 3.0
SUPERSAMPLING = 2
CROP: Final = 64  # side of the crops that the pipeline sends


class Located(Protocol):
    """A face in a frame: its box and, where known, its landmarks."""

    @property
    def box(self) -> Box:
        """x, y, width and height in pixels of the frame."""

    @property
    def landmarks(self) -> Sequence[Point]:
        """Right eye, left eye, nose and middle of the mouth in pixels of the frame, or none."""


def align(frame: Image, faces: Sequence[Located], size: int = CROP) -> Image:
    """Cut the faces out of `frame`, uint8 (H, W, 3) BGR, as gray uint8 (N, size, size), contiguous.

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
        eyes_and_mouth = np.array([face.landmarks[i] for i in (0, 1, 3)], np.float64)
        matrix = similarity(eyes_and_mouth)
        side = np.hypot(matrix[0, 0], matrix[1, 0]) / max(face.box[2:])
        if LEAST_SIDE < side < MOST_SIDE:
            return matrix
    return square(face.box)


def similarity(points: Floats) -> Floats:
    """Fit right eye, left eye and mouth, (3, 2), to the template; return the matrix back, 2 x 3.

    The least squares are taken in the crop, as Umeyama (1991) does without reflection: a face in
    profile, whose eyes lie close together, then keeps its size. Points that all coincide give a
    matrix of zeros.
    """
    found = points[:, 0] + 1j * points[:, 1]
    wanted = TEMPLATE[:, 0] + 1j * TEMPLATE[:, 1]
    centered, target = found - found.mean(), wanted - wanted.mean()
    spread = float(np.sum(np.abs(centered) ** 2))
    likeness = np.sum(centered.conj() * target)
    turn = spread / likeness if abs(likeness) > 1e-9 else 0j
    origin = found.mean() - turn * wanted.mean()
    return np.array([[turn.real, -turn.imag, origin.real], [turn.imag, turn.real, origin.imag]])


def square(box: Box) -> Floats:
    """Return the 2 x 3 matrix that takes the unit square to a square about `box`."""
    x, y, width, height = box
    side = SQUARE_SIDE * max(width, height)
    left = x + SQUARE_CENTRE[0] * width - side / 2
    top = y + SQUARE_CENTRE[1] * height - side / 2
    return np.array([[side, 0, left], [0, side, top]])


def sample(frame: Image, matrix: Floats, size: int) -> Image:
    """Draw the unit square that `matrix` places in `frame` as gray uint8 (size, size).

    No detail is skipped, so that nothing aliases: the frame is halved until it has at most two
    pixels for one of the crop, then sampled at twice the crop's size and averaged.
    """
    region, offset = _region(frame, matrix)
    gray = np.asarray(cv2.cvtColor(region, cv2.COLOR_BGR2GRAY))
    full = np.array(gray.shape[::-1], np.float64)
    side = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    while side >= SUPERSAMPLING * size:
        half = (max(1, gray.shape[1] // 2), max(1, gray.shape[0] // 2))
        gray = np.asarray(cv2.resize(gray, half, interpolation=cv2.INTER_AREA))
        side /= 2
    fine = SUPERSAMPLING * size
    pixels = _between_pixels(matrix, offset, np.array(gray.shape[::-1]) / full, fine)
    drawn = cv2.warpAffine(
        gray,
        pixels,
        (fine, fine),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _region(frame: Image, matrix: Floats) -> tuple[Image, Floats]:
    """Return the part of the frame that the crop needs, and where it begins (x, y)."""
    corners = matrix @ np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]], np.float64)
    side = np.hypot(matrix[0, 0], matrix[1, 0])
    margin = 2 + side / 16
    height, width = frame.shape[:2]
    limit = np.array([width, height])
    low = np.clip(np.floor(corners.min(axis=1) - margin), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=1) + margin), low + 1, limit).astype(int)
    return frame[low[1] : high[1], low[0] : high[0]], low.astype(np.float64)


def _between_pixels(matrix: Floats, offset: Floats, scale: Floats, size: int) -> Floats:
    """Express the placement between pixel indices: of a crop of `size`, and of the halved region.

    Positions are measured from a pixel's corner, indices count its center: hence the halves.
    """
    linear = matrix[:, :2] * scale[:, None] / size
    moved = (matrix[:, 2] - offset) * scale + linear @ np.array([0.5, 0.5]) - 0.5
    return np.column_stack([linear, moved])
