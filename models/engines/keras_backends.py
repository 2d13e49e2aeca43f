"""The backends of Keras: GPU, threads, and preparation of a model."""

import importlib
import os
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.models.engines.device import Device, has_gpu, missing_for_gpu
from emostream.models.tensorflow_runtime import import_tensorflow, use_threads
from emostream.shared.errors import ConfigError, ModelError

Run: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]

VARIABLE: Final = "KERAS_BACKEND"


class Backend(Protocol):
    """A Keras backend; `failures` are the exceptions that a model call may raise."""

    title: str
    failures: tuple[type[Exception], ...]

    def missing(self) -> str:
        """Return what is missing for a GPU, "" if it can use one."""

    def use_threads(self, intra_op: int, inter_op: int) -> None:
        """On a CPU, use `intra_op` threads per operation, and run `inter_op` operations at once."""

    def compile(self, model: Any, device: Device) -> Run:
        """Return a function that runs a Keras model on batches of its input type."""


class TensorFlow:
    """TensorFlow, which compiles the model to a graph."""

    title = "TensorFlow"

    def __init__(self) -> None:
        self._tf: Any = import_tensorflow()
        self.failures: tuple[type[Exception], ...] = (self._tf.errors.OpError,)

    def missing(self) -> str:
        if self._tf.config.list_physical_devices("GPU"):
            return ""
        package = f"pip install 'tensorflow[and-cuda]=={self._tf.__version__}'"
        return missing_for_gpu(
            f"this TensorFlow is built without CUDA ({package}, on Linux)",
            f"TensorFlow cannot use the GPU because CUDA libraries are missing: {package}",
            is_built=self._tf.test.is_built_with_cuda(),
            has_gpu=has_gpu(),
        )

    def use_threads(self, intra_op: int, inter_op: int) -> None:
        use_threads(intra_op, inter_op)

    def compile(self, model: Any, device: Device) -> Run:
        given = model.inputs[0]
        with on(device):
            graph = self._tf.function(lambda x: model(x, training=False))
            spec = self._tf.TensorSpec(given.shape, given.dtype)
            concrete = graph.get_concrete_function(spec)
        return lambda batch: np.asarray(concrete(self._tf.convert_to_tensor(batch)))


class Torch:
    """PyTorch, which runs the model eagerly."""

    title = "PyTorch"
    failures: tuple[type[Exception], ...] = (RuntimeError, ValueError)

    def __init__(self) -> None:
        self._torch: Any = importlib.import_module("torch")

    def missing(self) -> str:
        if self._torch.cuda.is_available():
            return ""
        build = "this PyTorch is built without CUDA (see pytorch.org for a build with CUDA)"
        return missing_for_gpu(
            build,
            "PyTorch cannot use the GPU: its CUDA may be newer than NVIDIA's driver",
            is_built=bool(self._torch.version.cuda or self._torch.version.hip),
            has_gpu=has_gpu(),
        )

    def use_threads(self, intra_op: int, inter_op: int) -> None:
        self._torch.set_num_threads(intra_op)

    def compile(self, model: Any, device: Device) -> Run:
        def run(batch: NDArray[Any]) -> NDArray[Any]:
            with on(device), self._torch.inference_mode():
                rows: NDArray[Any] = model(batch, training=False).cpu().numpy()
            return rows

        return run


class Jax:
    """JAX, which compiles the model once per batch size."""

    title = "JAX"
    failures: tuple[type[Exception], ...] = (RuntimeError, ValueError, TypeError)

    def __init__(self) -> None:
        # Otherwise it immediately allocates three quarters of the GPU memory.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        self._jax: Any = importlib.import_module("jax")

    def missing(self) -> str:
        try:
            self._jax.devices("gpu")
        except RuntimeError:
            package = "pip install 'jax[cuda12]'"
            return missing_for_gpu(
                "",
                "JAX cannot use the GPU because its CUDA plugin or libraries are missing: "
                f"{package}",
                is_built=True,
                has_gpu=has_gpu(),
            )
        return ""

    def use_threads(self, intra_op: int, inter_op: int) -> None:
        """Do nothing: JAX cannot change its number of threads at run time."""

    def compile(self, model: Any, device: Device) -> Run:
        weights = (
            [each.value for each in model.trainable_variables],
            [each.value for each in model.non_trainable_variables],
        )
        compiled = self._jax.jit(
            lambda first, others, x: model.stateless_call(first, others, x, training=False)[0]
        )

        def run(batch: NDArray[Any]) -> NDArray[Any]:
            with on(device):
                return np.asarray(compiled(*weights, batch))

        return run


# By the value of KERAS_BACKEND, which is also the module name.
BACKENDS: Final[dict[str, Callable[[], Backend]]] = {
    "tensorflow": TensorFlow,
    "torch": Torch,
    "jax": Jax,
}


def backend_module() -> str:
    """Return the backend in KERAS_BACKEND, a module name; by default tensorflow.

    Raises ConfigError if it is unknown.
    """
    name = os.environ.get(VARIABLE) or "tensorflow"
    if name not in BACKENDS:
        raise ConfigError(f"{VARIABLE}={name}: choose {', '.join(BACKENDS)}")
    return name


def start_backend() -> Backend:
    """Return the backend, started without its notices; ModelError if Keras uses another one."""
    name = backend_module()
    started = BACKENDS[name]()
    keras: Any = importlib.import_module("keras")
    if keras.backend.backend() != name:
        raise ModelError(
            f"Keras runs on {keras.backend.backend()}: set {VARIABLE}={keras.backend.backend()}"
        )
    return started


def on(device: Device) -> Any:
    """Return a context in which Keras computes and allocates on the device."""
    keras: Any = importlib.import_module("keras")
    return keras.device(device_name(device, backend_module()))


def device_name(device: Device, backend: str) -> str:
    """Return the name of the device in Keras with this backend.

    For PyTorch, "cpu:0" differs from "cpu": a parameter that is moved there is no longer a
    parameter, so that no layer can be created.
    """
    return device if (device, backend) == ("cpu", "torch") else f"{device}:0"
