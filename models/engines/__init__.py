"""The engines that run models: one module each, imported only when it is used."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.models.engines.device import Device, DeviceChoice
from emostream.models.engines.keras_backends import VARIABLE, backend_module
from emostream.shared import optional_groups
from emostream.shared.errors import MissingPackageError, WeightsError

Shape: TypeAlias = tuple[int | None, ...]
Sizes: TypeAlias = tuple[int, ...]

# Batch sizes for a GPU, which batches are padded to. Few, because each is compiled separately.
GPU_SIZES: Final[Sizes] = (1, 8, 32, 128, 256, 512, 1024)


class Engine(Protocol):
    """A model that is ready to run.

    `shape` is the input shape with the number of faces first (None for any number); `dtype` is the
    input type; `outputs` is the number of classes, None if unknown before a run; `sizes` are the
    batch sizes to pad to, empty if any size will do; `failures` are the exceptions that a call may
    raise. It computes on `device`, with `runtime`.
    """

    name: str
    device: Device
    runtime: str
    shape: Shape
    dtype: np.dtype[Any]
    outputs: int | None
    sizes: Sizes
    failures: tuple[type[Exception], ...]

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return float32 (N, outputs) for a batch of `shape` and `dtype`."""
        ...


@dataclass(frozen=True)
class EngineInfo:
    """The files that an engine can run, and the packages that it needs."""

    suffixes: tuple[str, ...]
    packages: tuple[str, ...]  # as imported
    group: str  # the optional group in pyproject.toml that includes them
    on_gpu: bool = True  # whether it can use a GPU


# In the order of preference for "auto"; docs/models.md has the figures.
ENGINES: Final = {
    "litert": EngineInfo((".tflite",), ("ai_edge_litert",), "classifier", False),
    "onnxruntime": EngineInfo((".onnx",), ("onnxruntime",), "onnxruntime"),
    "keras": EngineInfo((".keras", ".h5", ".hdf5"), ("keras", "tensorflow"), "keras"),
}
SUFFIXES: Final = {suffix: name for name, info in ENGINES.items() for suffix in info.suffixes}


def engine_info(name: str) -> EngineInfo:
    """Return the facts about an engine; WeightsError for an unknown name."""
    if name not in ENGINES:
        raise WeightsError(f"no engine {name!r}: choose auto, {', '.join(ENGINES)}")
    return ENGINES[name]


def is_installed(name: str) -> bool:
    """Return whether the packages of an engine are installed, without importing them."""
    packages = ("keras", backend_module()) if name == "keras" else engine_info(name).packages
    return all(map(optional_groups.is_installed, packages))


def load_engine(
    path: Path, intra_op: int | None, inter_op: int, device: DeviceChoice = "auto"
) -> Engine:
    """Load the model in a file into the engine for its suffix.

    Raises MissingPackageError if a package is missing, WeightsError if the file is not such a
    model, ConfigError if the device is an unusable GPU.
    """
    name = SUFFIXES[path.suffix]
    require_engine(name)
    engine: Engine = importlib.import_module(f"emostream.models.engines.{name}").load_engine(
        path, intra_op, inter_op, device
    )
    return engine


def require_engine(name: str) -> None:
    """Raise MissingPackageError, which names the group, if an engine's package is missing."""
    info = engine_info(name)
    if name != "keras" or (backend := backend_module()) in info.packages:
        optional_groups.require(f"the engine {name}", info.group, *info.packages)
        return
    optional_groups.require("the engine keras", info.group, "keras")
    if not optional_groups.is_installed(backend):
        raise MissingPackageError(
            f"the engine keras with {VARIABLE}={backend} needs {backend}: pip install {backend}"
        )
