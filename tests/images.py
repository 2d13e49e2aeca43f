"""Encoded images, decoded."""

import cv2
import numpy as np


def decoded(data: bytes | memoryview, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Return the image: uint8 (height, width, 3) BGR, or (height, width) as IMREAD_GRAYSCALE."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    assert image is not None, "no image that can be decoded"
    return image
