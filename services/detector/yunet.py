"""YuNet: a small face detector that OpenCV runs, for those who fetch its weights."""

from pathlib import Path

import cv2
import numpy as np

from emostream.services.detector.detection import Detection, Floats
from emostream.shared.errors import WeightsError
from emostream.shared.pixels import Image

SAME_FACE = 0.3
MAX_FACES = 5000
# On a strip of 32 pixels or less OpenCV's run of the network gives numbers beyond all measure.
MIN_SIDE = 64


class YuNet:
    """Finds faces from about ten pixels on, at the size to which the frame is brought."""

    def __init__(self, weights: Path, *, score: float = 0.5, long_side: int = 320):
        """Load the ONNX file `weights`; frames are shrunk until their longer side is `long_side`.

        Raises WeightsError where the file is missing or no model that OpenCV can read.
        """
        if not weights.is_file():
            raise WeightsError(
                f"no YuNet weights at {weights}: run `emostream models fetch yunet`,"
                " or set `detector.weights` to where they are"
            )
        self._long_side = long_side
        try:
            self._model = cv2.FaceDetectorYN.create(
                str(weights), "", (long_side, long_side), score, SAME_FACE, MAX_FACES
            )
        except cv2.error as error:
            raise WeightsError(
                f"{weights} is no YuNet model that OpenCV can read: fetch it again with"
                " `emostream models fetch yunet`, or set `detector.weights` to another"
            ) from error

    def detect(self, frame: Image) -> list[Detection]:
        """Return the faces in `frame`, uint8 (H, W, 3) in BGR order; the best score comes first."""
        height, width = frame.shape[:2]
        scale = min(1.0, self._long_side / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if scale < 1:
            frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
        right, below = (max(0, MIN_SIDE - side) for side in size)
        frame = np.asarray(cv2.copyMakeBorder(frame, 0, below, 0, right, cv2.BORDER_CONSTANT))
        self._model.setInputSize((size[0] + right, size[1] + below))
        _, rows = self._model.detect(frame)
        ratio = np.array([width / size[0], height / size[1]])
        # OpenCV's types hide that there is no array where there is no face.
        table = np.asarray(rows if np.ndim(rows) == 2 else np.empty((0, 15)), np.float64)
        found = [_detection(row, ratio) for row in table]
        return sorted(found, key=lambda one: -one.score)


def _detection(row: Floats, ratio: Floats) -> Detection:
    """Read one of YuNet's rows: the box, five points and the score."""
    points = row[:14].reshape(7, 2) * ratio
    right_eye, left_eye, nose, right_corner, left_corner = points[2:]
    landmarks = np.stack([right_eye, left_eye, nose, (right_corner + left_corner) / 2])
    x, y, width, height = points[:2].ravel().tolist()
    return Detection(
        (x, y, width, height), float(row[14]), tuple((a, b) for a, b in landmarks.tolist())
    )
