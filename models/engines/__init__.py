"""What runs a model: a module an engine, imported only when that engine serves."""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.shared.errors import WeightsError

Shape: TypeAlias = tuple[int | None, ...]
Sizes: TypeAlias = tuple[int, ...]


class Engine(Protocol):
    """A model that is ready to run.

    `shape` is that of its input, None where any number goes, the number of faces first; `dtype` is
    what it takes; `outputs` is the number of its classes, None where only a run can tell; `sizes`
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
class Kind:
    """An engine as files and packages show it."""

    suffixes: tuple[str, ...]
    packages: tuple[str, ...]  # as imported
    group: str  # the optional group of pyproject.toml that brings them


# In the order in which "auto" looks for a shipped model's file; docs/models.md has the figures.
ENGINES: Final = {
    "litert": Kind((".tflite",), ("ai_edge_litert",), "classifier"),
    "onnxruntime": Kind((".onnx",), ("onnxruntime",), "onnxruntime"),
    "keras": Kind((".keras", ".h5", ".hdf5"), ("keras", "tensorflow"), "keras"),
}
SUFFIXES: Final = {suffix: name for name, kind in ENGINES.items() for suffix in kind.suffixes}


def check(name: str) -> Kind:
    """Return what is known of an engine; WeightsError for a name that is none."""
    if name not in ENGINES:
        raise WeightsError(f"no engine {name!r}: choose auto, {', '.join(ENGINES)}")
    return ENGINES[name]


def installed(name: str) -> bool:
    """Say whether the packages of an engine are there, without importing them."""
    return all(importlib.util.find_spec(package) for package in check(name).packages)


def load(path: Path, intra_op: int | None, inter_op: int) -> Engine:
    """Load the model in a file into the engine that its suffix names.

    WeightsError where a package is missing or the file is no such model.
    """
    name = SUFFIXES[path.suffix]
    require(name)
    engine: Engine = importlib.import_module(f"emostream.models.engines.{name}").load(
        path, intra_op, inter_op
    )
    return engine


def require(name: str) -> None:
    """Raise WeightsError, which says what to install, where a package of the engine is missing."""
    kind = check(name)
    if not installed(name):
        raise WeightsError(
            f"the engine {name} needs the Python package {kind.packages[-1].replace('_', '-')}:"
            f" install it with pip install -e '.[{kind.group}]'"
        )
