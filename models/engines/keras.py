"""Keras on TensorFlow: runs .keras files and the legacy .h5."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emostream.models.engines import Sizes
from emostream.models.engines.legacy import keras3_file
from emostream.models.tensorflow_runtime import import_tensorflow, use_threads
from emostream.shared.errors import WeightsError


class KerasEngine:
    """A Keras model, compiled to a graph for inference."""

    name = "keras"
    # TensorFlow prepares its kernels once for each shape, so that there should be few.
    sizes: Sizes = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)

    def __init__(self, model: Any) -> None:
        """Take a model with one input and one output; WeightsError for others."""
        tf = import_tensorflow()
        if len(model.inputs) != 1 or not isinstance(model.output_shape, tuple):
            raise WeightsError(
                f"it has {len(model.inputs)} inputs and outputs {model.output_shape}:"
                " give a model with one of each"
            )
        given = model.inputs[0]
        self.shape = tuple(given.shape)
        self.dtype = np.dtype(given.dtype)
        self.outputs = model.output_shape[-1] if len(model.output_shape) == 2 else None
        self.failures: tuple[type[Exception], ...] = (tf.errors.OpError,)
        graph = tf.function(lambda x: model(x, training=False))
        self._graph = graph.get_concrete_function(tf.TensorSpec(self.shape, given.dtype))
        self._tensor = tf.convert_to_tensor

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return float32 (N, outputs)."""
        return np.asarray(self._graph(self._tensor(batch))).astype(np.float32, copy=False)


def load_engine(path: Path, intra_op: int | None, inter_op: int) -> KerasEngine:
    """Load a saved model without its optimizer and without running code from the file."""
    if intra_op is not None:
        use_threads(intra_op, inter_op)
    return KerasEngine(load_keras_model(path))


def load_keras_model(path: Path) -> Any:
    """Return the Keras model in a file; WeightsError where it is none."""
    import_tensorflow()
    import keras

    try:
        with nullcontext(path) if path.suffix == ".keras" else keras3_file(path) as file:
            return keras.saving.load_model(file, compile=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"{path} is no saved Keras model: {reason}") from error
