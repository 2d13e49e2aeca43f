"""Frames brought to the size of a detector's input."""

import cv2
import numpy as np

from emostream.shared.pixels import Image


def halved(frame: Image, side: int) -> Image:
    """Halve `frame` while its longer side stays at least 2 x `side`."""
    # Halving is exact and quick; bilinear sampling of less than 2:1 then aliases little.
    while max(frame.shape[:2]) >= 2 * side and min(frame.shape[:2]) > 1:
        size = (frame.shape[1] // 2, frame.shape[0] // 2)
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    return frame
