"""YuNet: a small face detector, run with ONNX Runtime (Wu, Peng and Yu 2023).

Decoding and suppression follow OpenCV's `FaceDetectorYN`, so that boxes are the same.
"""

import functools
import itertools
from typing import Final

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from emostream.models.engines.onnxruntime import FAILURES
from emostream.services.detector.detection import Detection, Floats
from emostream.services.detector.onnx_file import for_any_size, output_names
from emostream.services.detector.resampling import halved
from emostream.services.detector.weights import Weights
from emostream.shared.errors import WeightsError
from emostream.shared.pixels import Image

SAME_FACE: Final = 0.3
MAX_FACES: Final = 5000
STRIDES: Final = (8, 16, 32)
MOST_SIZES: Final = 8
STEP: Final = 32  # the input's sides are multiples of the network's largest stride
HEADS: Final = ("cls", "obj", "bbox", "kps")
# The file has an output for each head and stride; here, each head has one for all strides.
OUTPUTS: Final = {head: [f"{head}_{stride}" for stride in STRIDES] for head in HEADS}


class YuNet:
    """Finds faces of about ten pixels or more, in the resized frame."""

    def __init__(
        self,
        weights: Weights,
        *,
        score: float = 0.5,
        long_side: int = 640,
        threads: int = 1,
    ):
        """Load an ONNX file; frames are shrunk until their longer side is `long_side` pixels.

        `score` is the lowest to report, `threads` is for ONNX Runtime. Raises WeightsError if the
        file is not a YuNet model.
        """
        self._score = score
        self._long_side = long_side
        self._session = _session(weights, threads)
        self._input = self._session.get_inputs()[0].name
        self._inputs: dict[tuple[int, ...], NetInput] = {}

    def detect(self, frame: Image) -> list[Detection]:
        """Return the faces in `frame`, uint8 (H, W, 3) in BGR order, best score first.

        Not thread-safe.
        """
        small = shrunk(frame, self._long_side)
        picture = self._input_for(small).fill(small)
        rows = _decode(self.run(picture), _cells(*picture.shape[2:]), self._score)
        ratio = np.array(frame.shape[1::-1]) / np.array(small.shape[1::-1])
        return _detections(rows[_distinct(rows, self._score)], ratio)

    def run(self, picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the network's raw output for an input from `NetInput`."""
        outputs: list[NDArray[np.float32]] = self._session.run(HEADS, {self._input: picture})
        return outputs

    def _input_for(self, small: Image) -> "NetInput":
        """Return the input for pictures of that size, the one before if there is one."""
        found = self._inputs.get(small.shape)
        if found is None:
            # Few sizes recur: the frame, its tiles, and windows.
            if len(self._inputs) == MOST_SIZES:
                self._inputs.pop(next(iter(self._inputs)))
            found = self._inputs[small.shape] = NetInput(small)
        return found


class NetInput:
    """The network's input for pictures of one size, in memory that is used again.

    New memory would cost a page fault for each 4 KiB. Sides are rounded up to multiples of STEP,
    and the rest is black.
    """

    def __init__(self, small: Image) -> None:
        """Create for pictures of the size of `small`."""
        height, width = small.shape[:2]
        rounded = (-(-side // STEP) * STEP for side in (height, width))
        self._pixels = np.zeros((1, 3, *rounded), np.float32)
        self._planes = self._pixels[0, :, :height, :width]
        self._channels = [np.empty((height, width), np.uint8) for _ in range(3)]

    def fill(self, small: Image) -> NDArray[np.float32]:
        """Return the input with this picture, float32 (1, 3, H, W), valid until the next call."""
        # Split first: NumPy takes several times as long to convert strided data.
        cv2.split(small, self._channels)
        for plane, channel in zip(self._planes, self._channels, strict=True):
            plane[...] = channel
        return self._pixels


def shrunk(frame: Image, long_side: int) -> Image:
    """Return the frame with its longer side at most `long_side` pixels."""
    height, width = frame.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1:
        return frame
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(halved(frame, long_side), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(small, np.uint8)


def _session(weights: Weights, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin while waiting take CPU time from the other stages.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        missing = set(itertools.chain(*OUTPUTS.values())) - output_names(weights.content)
        if missing:
            raise WeightsError(
                f"{weights.path} is not a YuNet model: it has no output {min(missing)}"
            )
        model = for_any_size(weights.content, OUTPUTS)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except FAILURES as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"{weights.path} is not a readable ONNX model: {reason}") from error


@functools.lru_cache(2 * MOST_SIZES)
def _cells(height: int, width: int) -> tuple[Floats, Floats]:
    """Return the column and row of each cell of an input (N, 2), and its stride (N, 1)."""
    grids = [
        np.stack(np.meshgrid(np.arange(width // stride), np.arange(height // stride)), axis=2)
        for stride in STRIDES
    ]
    corners = [grid.reshape(-1, 2) for grid in grids]
    strides = np.repeat(STRIDES, [len(each) for each in corners])[:, None]
    return np.concatenate(corners).astype(np.float64), strides.astype(np.float64)


def _decode(
    outputs: list[NDArray[np.float32]], cells: tuple[Floats, Floats], score: float
) -> Floats:
    """Return a row for each candidate cell: x, y, w, h, five points, and the score."""
    face, fit, box, points = (values[0] for values in outputs)
    squares = face[:, 0] * fit[:, 0]
    chosen = np.flatnonzero(squares >= score**2)
    corner, stride = (values[chosen] for values in cells)
    box, points = box[chosen], points[chosen]
    rows = np.empty((len(chosen), 15))
    rows[:, 2:4] = np.exp(box[:, 2:]) * stride
    rows[:, :2] = (corner + box[:, :2]) * stride - rows[:, 2:4] / 2
    rows[:, 4:14].reshape(-1, 5, 2)[:] = (corner[:, None] + points.reshape(-1, 5, 2)) * stride[
        :, None
    ]
    rows[:, 14] = np.sqrt(np.minimum(squares[chosen], 1))
    return rows


def _distinct(rows: Floats, score: float) -> list[int]:
    """Return the best row of each face, best score first."""
    if not len(rows):
        return []
    # Like OpenCV, compare in whole pixels.
    boxes = rows[:, :4].astype(int).tolist()
    kept = cv2.dnn.NMSBoxes(boxes, rows[:, 14].tolist(), score, SAME_FACE, top_k=MAX_FACES)
    return [int(place) for place in kept]


def _detections(rows: Floats, ratio: Floats) -> list[Detection]:
    """Read rows: the box, five points and the score."""
    found = []
    numbers = (rows[:, :14].reshape(-1, 7, 2) * ratio).tolist()
    for pairs, score in zip(numbers, rows[:, 14].tolist(), strict=True):
        (x, y), (width, height), *points = pairs
        right_eye, left_eye, nose, (right_x, right_y), (left_x, left_y) = map(tuple, points)
        mouth = ((right_x + left_x) / 2, (right_y + left_y) / 2)
        box = (x, y, width, height)
        found.append(Detection(box, score, (right_eye, left_eye, nose, mouth)))
    return found
