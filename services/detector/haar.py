"""OpenCV's Haar cascade: no download, no landmarks, only frontal faces."""

from pathlib import Path

import cv2
import numpy as np

from emostream.services.detector.detection import Detection
from emostream.shared.errors import WeightsError
from emostream.shared.pixels import Image

CASCADE = "haarcascade_frontalface_default.xml"
DATA = Path(cv2.__file__).parent / "data"
PYRAMID_STEP = 1.2
MIN_SIDE = 24
NEIGHBORS = 3


class Haar:
    """Finds frontal faces; the score is a squashed level weight, useful only for ranking."""

    def __init__(self, *, score: float = 0.0, width: int = 480, folder: Path = DATA):
        """Load the cascade; frames are shrunk to `width`, `score` is the lowest to report.

        Raises WeightsError if OpenCV's data lacks the cascade.
        """
        path = folder / CASCADE
        self._cascade = cv2.CascadeClassifier()
        if not path.is_file() or not self._cascade.load(str(path)):
            raise WeightsError(f"{path} is missing: install opencv-python >= 4.14, < 5")
        self._score = score
        self._width = width

    def detect(self, frame: Image) -> list[Detection]:
        """Return the faces in `frame`, uint8 (H, W, 3) in BGR order, best score first."""
        gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        height, width = gray.shape
        scale = min(1.0, self._width / width)
        if scale < 1:
            size = (self._width, max(1, round(height * scale)))
            gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        boxes, _, weights = self._cascade.detectMultiScale3(
            gray,
            scaleFactor=PYRAMID_STEP,
            minNeighbors=NEIGHBORS,
            minSize=(MIN_SIDE, MIN_SIDE),
            outputRejectLevels=True,
        )
        found = [
            Detection(_scaled(box, 1 / scale), _squash(float(weight)))
            for box, weight in zip(np.asarray(boxes), np.ravel(weights), strict=True)
        ]
        return sorted(
            (one for one in found if one.score >= self._score), key=lambda one: -one.score
        )


def _scaled(box: Image, factor: float) -> tuple[float, float, float, float]:
    x, y, width, height = (float(v) * factor for v in box)
    return (x, y, width, height)


def _squash(weight: float) -> float:
    """Map a level weight, about 0 to 10, to 0..1, never reaching 1."""
    weight = max(weight, 0.0)
    return weight / (1 + weight)
