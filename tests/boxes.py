"""How well boxes agree."""

from collections.abc import Sequence

import numpy as np

from emostream.services.detector.detection import pairwise_iou


def iou(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the intersection over union of two boxes of x, y, width, height."""
    return float(pairwise_iou(np.array([first], float), np.array([second], float))[0, 0])
