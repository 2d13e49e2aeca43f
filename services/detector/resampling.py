"""Resizes frames for a detector's input."""

import cv2
import numpy as np

from emostream.shared.pixels import Image


def halved(frame: Image, side: int) -> Image:
    """Halve `frame` while its longer side stays at least 2 x `side`."""
    # Halving is exact and fast; bilinear sampling below 2:1 then aliases little.
    while max(frame.shape[:2]) >= 2 * side and min(frame.shape[:2]) > 1:
        frame = half(frame)
    return frame


def half(picture: Image) -> Image:
    """Return a picture or a plane of one at half its width and height, rounded down."""
    size = (picture.shape[1] // 2, picture.shape[0] // 2)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
