"""Loads weights from an .h5 file of Keras 2 into a Keras 3 model."""

from collections.abc import Iterator
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from emostream.models.engines.legacy_nodes import layer_name
from emostream.shared.errors import WeightsError

# The state of Keras 2's random generator, and a Normalization's picture count.
WITHOUT_USE: Final = ("StateVar",)


def load_weights(model: Any, file: h5py.File) -> None:
    """Set the variables of a model from an .h5 file of Keras 2.

    Each layer of the model has a group, in which the weights of nested models follow each other.
    Raises WeightsError if they do not fit.
    """
    groups = file.get("model_weights", file)
    for name in _names(groups, "layer_names"):
        values = list(_values(groups[name]))
        if values:
            _assign(name, _variables(model.get_layer(layer_name(name))), values)


def finalize(model: Any) -> None:
    """Make each Normalization in a model use its loaded mean and variance."""
    for layer in getattr(model, "layers", None) or [model]:
        if layer is not model and hasattr(layer, "layers"):
            finalize(layer)
        elif hasattr(layer, "layer"):
            finalize(layer.layer)
        elif hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _assign(name: str, variables: list[Any], values: list[NDArray[Any]]) -> None:
    needed, given = ([item.shape for item in items] for items in (variables, values))
    if [tuple(shape) for shape in needed] != given:
        raise WeightsError(
            f"the weights of its layer {name!r} do not fit: {len(given)} arrays, not {len(needed)},"
            " or arrays of other shapes"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _variables(layer: Any) -> list[Any]:
    trained, fixed = _split(layer)
    return trained + fixed


def _split(layer: Any) -> tuple[list[Any], list[Any]]:
    """Return the trainable variables and the others, in Keras 2's order.

    Even if the model as a whole is not trainable, its trainable layers come first.
    """
    if not hasattr(layer, "layers"):
        return layer.trainable_weights, layer.non_trainable_weights
    trained: list[Any] = []
    fixed: list[Any] = []
    for inner in layer.layers:
        inner_trained, inner_fixed = _split(inner)
        trained += inner_trained
        fixed += inner_fixed
    return (trained, fixed) if layer.trainable else ([], trained + fixed)


def _values(group: h5py.Group) -> Iterator[NDArray[Any]]:
    for name in _names(group, "weight_names"):
        if name.rpartition("/")[2].partition(":")[0] not in WITHOUT_USE:
            yield np.asarray(group[name])


def _names(group: h5py.Group, key: str) -> Iterator[str]:
    """Yield the names in an attribute; a long list is split over key0, key1 and so on."""
    parts = [key] if key in group.attrs else []
    while f"{key}{len(parts)}" in group.attrs:
        parts.append(f"{key}{len(parts)}")
    for part in parts:
        for name in group.attrs[part]:
            yield name.decode() if isinstance(name, bytes) else str(name)
