"""The engines that run models: one module each, imported only when that engine serves."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.shared import optional_groups
from emostream.shared.errors import WeightsError

Shape: TypeAlias = tuple[int | None, ...]
Sizes: TypeAlias = tuple[int, ...]


class Engine(Protocol):
    """A model that is ready to run.

    `shape` is that of its input, None where any number goes, the number of faces first; `dtype` is
    what it takes; `outputs` is the number of its classes, None where only a run shows it; `sizes`
    are those that batches are padded to, none where each is as good; `failures` are what a call
    may raise.
    """

    name: str
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


# In the order in which "auto" looks for a shipped model's file; docs/models.md has the figures.
ENGINES: Final = {
    "litert": EngineInfo((".tflite",), ("ai_edge_litert",), "classifier"),
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
    return all(map(optional_groups.is_installed, engine_info(name).packages))


def load_engine(path: Path, intra_op: int | None, inter_op: int) -> Engine:
    """Load the model in a file into the engine that its suffix names.

    MissingPackageError where a package is missing, WeightsError where the file is no such model.
    """
    name = SUFFIXES[path.suffix]
    require_engine(name)
    engine: Engine = importlib.import_module(f"emostream.models.engines.{name}").load_engine(
        path, intra_op, inter_op
    )
    return engine


def require_engine(name: str) -> None:
    """Raise MissingPackageError, which names the group, where an engine's package is missing."""
    info = engine_info(name)
    optional_groups.require(f"the engine {name}", info.group, *info.packages)
