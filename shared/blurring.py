"""Blurs boxes in a picture, or the whole picture."""

import math
from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np

from emostream.shared.messages import Box
from emostream.shared.pixels import Image

# Cells of one mean color that remain along the longer side of a face, and of a whole picture.
FACE_CELLS: Final = 5
PICTURE_CELLS: Final = 12


def blur_boxes(picture: Image, boxes: Iterable[Box]) -> Image:
    """Return a copy of the picture, uint8 (height, width, 3), with the boxes blurred.

    Boxes are x, y, width, height in pixels and may extend beyond the picture.
    """
    blurred = np.array(picture, np.uint8, order="C")
    height, width = blurred.shape[:2]
    for x, y, across, down in boxes:
        left, right = (math.floor(min(max(at, 0), width)) for at in (x, x + across + 1))
        top, bottom = (math.floor(min(max(at, 0), height)) for at in (y, y + down + 1))
        if left < right and top < bottom:
            region = blurred[top:bottom, left:right]
            region[:] = _coarse(region, max(across / FACE_CELLS, down / FACE_CELLS, 1.0))
    return blurred


def blur_all(picture: Image) -> Image:
    """Return a blurred copy of the whole picture, uint8 (height, width, 3)."""
    return _coarse(picture, max(picture.shape[:2]) / PICTURE_CELLS)


def _coarse(region: Image, cell: float) -> Image:
    """Return the region without detail finer than `cell` pixels."""
    height, width = region.shape[:2]
    cells = (math.ceil(width / cell), math.ceil(height / cell))
    means = cv2.resize(region, cells, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(means, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
