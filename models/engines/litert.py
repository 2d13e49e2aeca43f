"""LiteRT with XNNPACK: runs .tflite files, and starts without TensorFlow."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from emostream.models.engines import Sizes
from emostream.models.engines.device import Device, DeviceChoice, choose_device
from emostream.models.tensorflow_runtime import without_litert_notice
from emostream.shared.errors import WeightsError
from emostream.shared.plural import counted

PROCESSOR_ALONE: Final = "it runs on the CPU only: choose the engine keras or onnxruntime"


class LiteRTEngine:
    """An interpreter whose input is resized to each batch, which takes 0.02 ms."""

    name = "litert"
    device: Device = "cpu"
    runtime = "XNNPACK"
    sizes: Sizes = ()
    failures: tuple[type[Exception], ...] = (ValueError, RuntimeError)

    def __init__(self, interpreter: Interpreter) -> None:
        """Prepare a model with one input and one output; WeightsError for others."""
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise WeightsError(
                f"it has {counted(len(inputs), 'input')} and {counted(len(outputs), 'output')}:"
                " give a model with one of each"
            )
        self._interpreter, self._input, self._output = interpreter, inputs[0], outputs[0]
        self.shape = tuple(None if side < 0 else int(side) for side in _signature(self._input))
        # A quantized model has real-valued inputs and outputs here; its integers are internal.
        quantized = self._input["quantization"][0] > 0
        self.dtype = np.dtype(np.float32 if quantized else self._input["dtype"])
        given = _signature(self._output)
        self.outputs = int(given[-1]) if len(given) == 2 and given[-1] > 0 else None
        self._ready: tuple[int, ...] | None = None

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return float32 (N, outputs)."""
        index = self._input["index"]
        if batch.shape != self._ready:
            # The notice appears when the delegate is created, with the first model.
            notice = without_litert_notice() if self._ready is None else nullcontext()
            self._ready = ()
            with notice:
                self._interpreter.resize_tensor_input(index, batch.shape, strict=True)
                self._interpreter.allocate_tensors()
            self._ready = batch.shape
        self._interpreter.set_tensor(index, _quantize(batch, self._input))
        self._interpreter.invoke()
        return _real(self._interpreter.get_tensor(self._output["index"]), self._output)


def load_engine(
    path: Path, intra_op: int | None, inter_op: int, device: DeviceChoice = "auto"
) -> LiteRTEngine:
    """Load a model; `intra_op` is the number of XNNPACK threads, `inter_op` is ignored.

    Raises ConfigError if the device is a GPU.
    """
    choose_device(device, LiteRTEngine.name, PROCESSOR_ALONE)
    try:
        with without_litert_notice():
            interpreter = Interpreter(str(path), num_threads=intra_op)
        return LiteRTEngine(interpreter)
    except (ValueError, RuntimeError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"{path} is not a readable TFLite model: {reason}") from error


def _signature(details: dict[str, Any]) -> NDArray[np.int32]:
    signature = details["shape_signature"]
    return np.asarray(signature if len(signature) else details["shape"], np.int32)


def _quantize(real: NDArray[Any], details: dict[str, Any]) -> NDArray[Any]:
    scale, zero = details["quantization"]
    if scale == 0:
        return real
    limits = np.iinfo(details["dtype"])
    steps = np.rint(real / scale) + zero
    return np.asarray(np.clip(steps, limits.min, limits.max).astype(details["dtype"]))


def _real(values: NDArray[Any], details: dict[str, Any]) -> NDArray[np.float32]:
    scale, zero = details["quantization"]
    real = values.astype(np.float32, copy=False)
    return real if scale == 0 else (real - np.float32(zero)) * np.float32(scale)
