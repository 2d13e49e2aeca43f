"""Eight blurred average faces of 48 x 48 pixels that never change: models are compared on them."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from emostream.shared.pixels import Image

SIZE, COUNT = 48, 8
SHEET = Path(__file__).with_suffix(".png")


@cache
def load_average_faces() -> Image:
    """Return a face for each of `LABELS`, read-only uint8 (8, 48, 48)."""
    sheet = cv2.imread(str(SHEET), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    tiles = np.ascontiguousarray(sheet.reshape(SIZE, COUNT, SIZE).swapaxes(0, 1))
    tiles.setflags(write=False)
    return np.asarray(tiles, np.uint8)
