"""Keras on TensorFlow: runs .keras files and the legacy .h5."""

import json
import re
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile, ZipFile

import h5py
import numpy as np
from numpy.typing import NDArray

from emostream.models.engines import Sizes
from emostream.models.engines.legacy import keras3_config, parse_config
from emostream.models.engines.legacy_weights import finalize, load_weights
from emostream.models.tensorflow_runtime import import_tensorflow, use_threads
from emostream.shared.errors import WeightsError
from emostream.shared.plural import counted

# What Keras raises for a file that it cannot read, or whose configuration makes no sense.
FAILURES: Final = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError),
    BadZipFile,
)
CAUSE: Final = "Exception encountered: "  # how Keras begins the error inside an error


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
                f"it has {counted(len(model.inputs), 'input')} and outputs {model.output_shape}:"
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
    model, tf = load_keras_model(path), import_tensorflow()
    try:
        return KerasEngine(model)
    except (ValueError, TypeError, RuntimeError, tf.errors.OpError) as error:
        raise WeightsError(f"{path} cannot run: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return what an error of Keras says, in one line and without the colors of a terminal."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith(CAUSE)] or lines[:1] or ["no reason given"]
    return causes[-1].removeprefix(CAUSE)


def load_keras_model(path: Path) -> Any:
    """Return the Keras model in a file; WeightsError where it is none."""
    import_tensorflow()
    try:
        return _load(path)
    except WeightsError as error:
        raise WeightsError(f"{path} cannot be loaded: {error}") from error
    except FAILURES as error:
        raise WeightsError(f"{path} is no saved Keras model: {_reason(error)}") from error


def _load(path: Path) -> Any:
    import keras

    if path.suffix == ".keras":
        with ZipFile(path) as saved:
            version = json.loads(saved.read("metadata.json"))["keras_version"]
            if _is_keras_3(version):
                return keras.saving.load_model(path, compile=False)
            model = _build(saved.read("config.json"), version)
        model.load_weights(path)
    else:
        with h5py.File(path) as file:
            version = file.attrs.get("keras_version", "2")
            if "model_config" not in file.attrs:
                raise WeightsError("No model config found: it holds weights alone")
            model = _build(file.attrs["model_config"], version)
            if not _is_keras_3(version):
                load_weights(model, file)
        if _is_keras_3(version):
            model.load_weights(path)
    finalize(model)
    return model


def _is_keras_3(version: str | bytes) -> bool:
    text = version.decode() if isinstance(version, bytes) else version
    return not text.startswith(("0.", "1.", "2."))


def _build(config: str | bytes, version: str | bytes) -> Any:
    """Return a model without its weights, and without running code from its configuration."""
    import keras

    from emostream.models.engines.legacy_layers import FUNCTIONS_OF_KERAS_2, LAYERS

    objects = LAYERS if _is_keras_3(version) else LAYERS | FUNCTIONS_OF_KERAS_2
    return keras.saving.deserialize_keras_object(
        keras3_config(parse_config(config)), custom_objects=objects
    )
