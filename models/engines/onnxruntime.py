"""ONNX Runtime on the CPU, or with CUDA or TensorRT on a GPU: runs .onnx files."""

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from emostream.models.engines import GPU_SIZES, Sizes
from emostream.models.engines.device import (
    Device,
    DeviceChoice,
    choose_device,
    has_gpu,
    missing_for_gpu,
)
from emostream.models.tensorflow_runtime import muted_stderr
from emostream.shared.errors import WeightsError
from emostream.shared.plural import counted

# They have no common base class.
FAILURES: Final = (
    *(state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf),
    *(state.NoModel, state.NotImplemented, state.RuntimeException, state.EngineError),
    *(ValueError, RuntimeError, OSError),
)
TYPES: Final = {
    "tensor(uint8)": np.uint8,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
# The GPU providers and their usual names.
CPU: Final = "CPUExecutionProvider"
GPU_PROVIDERS: Final = {
    "TensorrtExecutionProvider": "TensorRT",
    "CUDAExecutionProvider": "CUDA",
}
BUILD: Final = (
    "this onnxruntime is a build without CUDA"
    " (pip uninstall onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]')"
)
LIBRARIES: Final = (
    "onnxruntime cannot use the GPU; CUDA or cuDNN libraries or a newer driver are missing:"
    " pip install 'onnxruntime-gpu[cuda,cudnn]'"
)


class OnnxRuntimeEngine:
    """A session with one input and one output."""

    name = "onnxruntime"
    failures: tuple[type[Exception], ...] = FAILURES

    def __init__(self, session: Any) -> None:
        """Prepare a model with one input and one output; WeightsError for others."""
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type not in TYPES:
            kinds = ", ".join(given.type for given in inputs)
            raise WeightsError(
                f"it has {counted(len(inputs), 'input')} ({kinds})"
                f" and {counted(len(outputs), 'output')}:"
                " give a model with one of each, which accepts bytes or floats"
            )
        self._session, self._input = session, inputs[0].name
        self.device, self.runtime = session_device(session.get_providers())
        # On the first use of a shape, CUDA tunes its algorithms, and TensorRT compiles.
        self.sizes: Sizes = GPU_SIZES if self.device == "gpu" else ()
        self.shape = tuple(n if isinstance(n, int) else None for n in inputs[0].shape)
        self.dtype = np.dtype(TYPES[inputs[0].type])
        given = outputs[0].shape
        known = len(given) == 2 and isinstance(given[-1], int)
        self.outputs: int | None = given[-1] if known else None

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return float32 (N, outputs)."""
        (rows,) = self._session.run(None, {self._input: batch})
        return np.asarray(rows, np.float32)


def load_engine(
    path: Path, intra_op: int | None, inter_op: int, device: DeviceChoice = "auto"
) -> OnnxRuntimeEngine:
    """Load a model; `intra_op` is the number of threads per operation, `inter_op` is ignored.

    Raises ConfigError if the device is an unusable GPU.
    """
    with_tensorrt = importlib.util.find_spec("tensorrt") is not None
    providers = gpu_providers(onnxruntime.get_available_providers(), with_tensorrt=with_tensorrt)
    missing = missing_for_gpu(BUILD, LIBRARIES, is_built=bool(providers), has_gpu=has_gpu())
    if not providers or device == "cpu" or (device == "auto" and not has_gpu()):
        choose_device(device, OnnxRuntimeEngine.name, missing)
        return OnnxRuntimeEngine(_session(path, intra_op, ()))
    engine = OnnxRuntimeEngine(_session(path, intra_op, providers))
    if engine.device == "cpu":
        choose_device(device, engine.name, missing)
    return engine


def gpu_providers(available: Sequence[str], *, with_tensorrt: bool) -> list[str]:
    """Return the GPU providers to request, preferred one first.

    TensorRT compiles for minutes at startup, so it is requested only if its package is installed.
    """
    wanted = [name for name in GPU_PROVIDERS if with_tensorrt or GPU_PROVIDERS[name] != "TensorRT"]
    return [name for name in wanted if name in available]


def session_device(providers: Sequence[str]) -> tuple[Device, str]:
    """Return the device and runtime of a session with these providers.

    A provider whose libraries do not load is not among them; ONNX Runtime continues without it.
    """
    of_gpu = [GPU_PROVIDERS[name] for name in providers if name in GPU_PROVIDERS]
    return ("gpu", of_gpu[0]) if of_gpu else ("cpu", "ONNX Runtime")


def _session(path: Path, intra_op: int | None, providers: Sequence[str]) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = intra_op or 0
    # Threads that spin while waiting take CPU time from the other stages.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        with _quiet() if providers else contextlib.nullcontext():
            if providers:
                onnxruntime.preload_dlls()  # CUDA and cuDNN libraries installed by pip
            return onnxruntime.InferenceSession(str(path), options, providers=[*providers, CPU])
    except FAILURES as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"{path} is not a readable ONNX model: {reason}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the output about libraries that do not load; the providers show the result."""
    with contextlib.redirect_stdout(io.StringIO()), muted_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
