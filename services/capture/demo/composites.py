"""Loads `composites.png`, the average faces that the demo draws.

`python -m emostream.models.average_faces` makes it from the training data.
"""

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from emostream.models.labels import LABELS
from emostream.shared.errors import SourceError
from emostream.shared.pixels import Image

SIZE = 48
SHEET = Path(__file__).with_name("composites.png")


@cache
def load_composites() -> Image:
    """Return the eight average faces, read-only uint8 (8, 48, 48), in the order of `LABELS`.

    Raises SourceError where the file is missing or damaged.
    """
    sheet = cv2.imread(str(SHEET), cv2.IMREAD_GRAYSCALE)
    if sheet is None or sheet.shape != (SIZE, SIZE * len(LABELS)):
        raise SourceError(f"{SHEET}: the demo's faces cannot be read; restore the file")
    tiles = np.ascontiguousarray(sheet.reshape(SIZE, len(LABELS), SIZE).swapaxes(0, 1))
    tiles.setflags(write=False)
    return tiles.astype(np.uint8, copy=False)
