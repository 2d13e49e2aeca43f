"""ONNX Runtime on the CPU: runs .onnx files."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from emostream.models.engines import Sizes
from emostream.shared.errors import WeightsError
from emostream.shared.plural import counted

# They have no common base of their own.
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


class OnnxRuntimeEngine:
    """A session with one input and one output."""

    name = "onnxruntime"
    sizes: Sizes = ()
    failures: tuple[type[Exception], ...] = FAILURES

    def __init__(self, session: Any) -> None:
        """Take a model with one input and one output; WeightsError for others."""
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type not in TYPES:
            kinds = ", ".join(given.type for given in inputs)
            raise WeightsError(
                f"it has {counted(len(inputs), 'input')} ({kinds})"
                f" and {counted(len(outputs), 'output')}:"
                " give a model with one of each, which takes bytes or floats"
            )
        self._session, self._input = session, inputs[0].name
        self.shape = tuple(n if isinstance(n, int) else None for n in inputs[0].shape)
        self.dtype = np.dtype(TYPES[inputs[0].type])
        given = outputs[0].shape
        known = len(given) == 2 and isinstance(given[-1], int)
        self.outputs: int | None = given[-1] if known else None

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return float32 (N, outputs)."""
        (rows,) = self._session.run(None, {self._input: batch})
        return np.asarray(rows, np.float32)


def load_engine(path: Path, intra_op: int | None, inter_op: int) -> OnnxRuntimeEngine:
    """Load a model; `intra_op` are the threads of one operation, `inter_op` has no meaning here."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = intra_op or 0
    # Threads that spin while they wait take the cores from the other stages.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return OnnxRuntimeEngine(
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        )
    except FAILURES as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"{path} is no readable ONNX model: {reason}") from error
