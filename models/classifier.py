"""The classifier as programs use it: faces in, calibrated probabilities out."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models import weights
from models.backend import import_tensorflow, use_threads
from models.faces import by_size, gray
from models.labels import LABELS
from shared.errors import ModelError, WeightsError

Probabilities: TypeAlias = NDArray[np.float32]

BATCHES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # sizes that batches are padded to
CROP: Final = 64  # side of the crops that the pipeline sends


class Classifier:
    """A loaded model; `labels` names the columns of what `predict` returns."""

    labels = LABELS

    def __init__(self, model: Any, name: str, sha256: str = "") -> None:
        tf = import_tensorflow()
        if model.output_shape != (None, len(LABELS)):
            raise ModelError(f"model {name} gives {model.output_shape}, not (None, {len(LABELS)})")
        self.name = name
        self.sha256 = sha256
        faces = tf.TensorSpec((None, None, None), tf.uint8)
        self._failures = tf.errors.OpError
        self._graph = tf.function(lambda x: model(x, training=False), input_signature=[faces])

    def predict(self, faces: NDArray[Any] | Sequence[NDArray[Any]]) -> Probabilities:
        """Return the probabilities float32 (N, 8) of uint8 faces (N, H, W) or (N, H, W, 3) in BGR.

        A list or tuple may hold faces of different sizes. One channel (gray) and four (BGRA) are
        taken too, and any N. ModelError for other shapes and types, and where TensorFlow fails.
        """
        if isinstance(faces, list | tuple):
            probabilities = np.empty((len(faces), len(LABELS)), np.float32)
            for indices, images in by_size(faces):
                probabilities[indices] = self._predict(images)
            return probabilities
        return self._predict(gray(np.asarray(faces)))

    def warm_up(self, sizes: Iterable[int] = BATCHES) -> None:
        """Run each batch size once, so that no later call pays for what the first one prepares."""
        for size in sizes:
            self.predict(np.zeros((size, CROP, CROP), np.uint8))

    def _predict(self, faces: NDArray[np.uint8]) -> Probabilities:
        largest = BATCHES[-1]
        batches = [faces[start : start + largest] for start in range(0, len(faces), largest)]
        empty = np.empty((0, len(LABELS)), np.float32)
        return np.concatenate([empty, *map(self._batch, batches)])

    def _batch(self, faces: NDArray[np.uint8]) -> Probabilities:
        size = next(size for size in BATCHES if size >= len(faces))
        padded = np.zeros((size, *faces.shape[1:]), np.uint8)
        padded[: len(faces)] = faces
        try:
            return np.asarray(self._graph(padded))[: len(faces)]
        except self._failures as error:
            reason = str(error.message).partition("\n")[0]
            raise ModelError(f"model {self.name} failed: {reason}") from error


def load(
    name_or_path: str | Path = "alexnet-fer",
    intra_op: int | None = None,
    inter_op: int = 1,
) -> Classifier:
    """Load a shipped model by name, or any by the path of its .keras file.

    `intra_op` sets the threads of one TensorFlow operation and `inter_op` how many run at a time;
    None leaves both to TensorFlow. WeightsError where the weights are missing or corrupt.
    """
    path = weights.find(name_or_path)
    if intra_op is not None:
        use_threads(intra_op, inter_op)
    import_tensorflow()
    import keras

    try:
        model = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path} is no saved Keras model: {reason}") from error
    return Classifier(model, path.stem, weights.sha256(path))
