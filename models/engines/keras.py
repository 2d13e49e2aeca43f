"""Keras: runs .keras files on each of its backends, and the legacy .h5 on TensorFlow."""

import json
import re
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile, ZipFile

import h5py
import numpy as np
from numpy.typing import NDArray

from emostream.models.engines import GPU_SIZES, Sizes
from emostream.models.engines.device import Device, DeviceChoice, choose_device
from emostream.models.engines.keras_backends import VARIABLE, on, start_backend
from emostream.models.engines.legacy import keras3_config, parse_config
from emostream.models.engines.legacy_weights import finalize, load_weights
from emostream.shared.errors import WeightsError
from emostream.shared.plural import counted

# The exceptions of Keras for unreadable files or invalid configurations.
FAILURES: Final = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError),
    BadZipFile,
)
CPU_SIZES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512, 1024)
CAUSE: Final = "Exception encountered: "  # how Keras starts a nested error


class KerasEngine:
    """A Keras model, prepared for inference by the backend in KERAS_BACKEND."""

    name = "keras"

    def __init__(self, model: Any, device: DeviceChoice = "auto") -> None:
        """Prepare a model with one input and one output that was created on the device.

        Raises WeightsError for other models, ConfigError if the device is an unusable GPU.
        """
        backend = start_backend()
        if len(model.inputs) != 1 or not isinstance(model.output_shape, tuple):
            raise WeightsError(
                f"it has {counted(len(model.inputs), 'input')} and outputs {model.output_shape}:"
                " give a model with one of each"
            )
        given = model.inputs[0]
        self.shape = tuple(given.shape)
        self.dtype = np.dtype(given.dtype)
        self.outputs = model.output_shape[-1] if len(model.output_shape) == 2 else None
        self.failures = backend.failures
        self.device = choose_device(device, self.name, backend.missing())
        self.runtime = backend.title
        # Kernels are prepared or compiled for each shape, so there should be few shapes.
        self.sizes: Sizes = CPU_SIZES if self.device == "cpu" else GPU_SIZES
        self._run = backend.compile(model, self.device)

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return float32 (N, outputs)."""
        return self._run(batch).astype(np.float32, copy=False)


def load_engine(
    path: Path, intra_op: int | None, inter_op: int, device: DeviceChoice = "auto"
) -> KerasEngine:
    """Load a saved model without its optimizer and without running code from the file.

    Raises ConfigError if the device is an unusable GPU.
    """
    backend = start_backend()
    chosen = choose_device(device, KerasEngine.name, backend.missing())
    if intra_op is not None:
        backend.use_threads(intra_op, inter_op)
    model = load_keras_model(path, chosen)
    failures: tuple[type[Exception], ...] = (ValueError, TypeError, RuntimeError, *backend.failures)
    try:
        return KerasEngine(model, chosen)
    except failures as error:
        raise WeightsError(f"{path} cannot run: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return the message of a Keras error, in one line and without terminal colors."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith(CAUSE)] or lines[:1] or ["no reason given"]
    return causes[-1].removeprefix(CAUSE)


def load_keras_model(path: Path, device: Device = "cpu") -> Any:
    """Return the Keras model in a file, on the device; WeightsError if it is not a model."""
    start_backend()
    try:
        with on(device):
            return _load(path)
    except WeightsError as error:
        raise WeightsError(f"{path} cannot be loaded: {error}") from error
    except FAILURES as error:
        raise WeightsError(f"{path} is not a saved Keras model: {_reason(error)}") from error


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
                raise WeightsError("No model config found: it contains only weights")
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

    if (backend := keras.backend.backend()) != "tensorflow":
        raise WeightsError(
            f"it was saved as .h5, or by Keras 2, which requires TensorFlow: run it without"
            f" {VARIABLE}={backend}, or save it as .keras with Keras 3"
        )
    from emostream.models.engines.legacy_layers import FUNCTIONS_OF_KERAS_2, LAYERS

    objects = LAYERS if _is_keras_3(version) else LAYERS | FUNCTIONS_OF_KERAS_2
    return keras.saving.deserialize_keras_object(
        keras3_config(parse_config(config)), custom_objects=objects
    )
