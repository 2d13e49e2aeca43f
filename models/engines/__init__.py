"""The engines that run models: one module each, imported only when that engine serves."""

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

# What batches for a GPU are padded to: few, since each is prepared or compiled by itself.
GPU_SIZES: Final[Sizes] = (1, 8, 32, 128, 256, 512, 1024)


class Engine(Protocol):
    """A model that is ready to run.

    `shape` is that of its input, None if any number goes, the number of faces first; `dtype` is
    what it takes; `outputs` is the number of its classes, None if only a run shows it; `sizes` are
    those that batches are padded to, none if each is as good; `failures` are what a call may raise.
    It computes on `device`, by means of `runtime`.
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
    """The files that an engine runs, and the packages that it needs."""

    suffixes: tuple[str, ...]
    packages: tuple[str, ...]  # as imported
    group: str  # the optional group of pyproject.toml that brings them
    on_gpu: bool = True  # whether it can compute on one


# In the order in which "auto" looks for a shipped model's file; docs/models.md has the figures.
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
    """Load the model in a file into the engine that its suffix names.

    MissingPackageError if a package is missing, WeightsError if the file is no such model,
    ConfigError if the device is a GPU that cannot be used.
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
