"""Converts model configurations of Keras 2 to Keras 3."""

import importlib
import inspect
import json
from typing import Any, Final, TypeAlias

from emostream.models.engines.legacy_nodes import connect, layer_name
from emostream.shared.errors import WeightsError

Config: TypeAlias = dict[str, Any]

# Keys that matter only in training or before the weights are loaded.
TRAINING_SUFFIXES: Final = ("_initializer", "_regularizer", "_constraint")
# Keys that Keras 3 does not have and that do not change what a layer computes.
WITHOUT_EFFECT: Final = frozenset(
    {
        *("batch_input_shape", "input_shape", "input_dim", "input_length", "build_input_shape"),
        *("implementation", "rng_type", "query_shape", "key_shape", "value_shape", "fused"),
        "trainable",
    }
)
OFF: Final[tuple[Any, ...]] = (
    None,
    False,
    [],
    {},
)  # values that make a key without effect, if Keras 3 does not have it
RENAMED_CLASSES: Final = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
}
# Inference equivalents of random layers that Keras 3 does not have, or that do nothing there: the
# class and the keys to add.
AT_INFERENCE: Final = {
    "RandomHeight": ("Identity", {}),
    "RandomWidth": ("Identity", {}),
    "RandomCrop": ("Resizing", {"crop_to_aspect_ratio": True}),
}
REPLACED_KEYS: Final = ("name", "trainable", "dtype", "height", "width")  # the keys that these keep
RENAMED_KEYS: Final = {("LeakyReLU", "alpha"): "negative_slope"}
# Layers of Keras's own networks that are not public.
PRIVATE_MODULES: Final = {
    "LayerScale": "keras.src.applications.convnext",
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
}
# Functions that the loader replaces in a Keras 2 file.
CHANGED_FUNCTIONS: Final = ("hard_sigmoid", "softmax_v2")
# Modules with the operations (like x / 255) that Keras 3's .h5 files list like layers.
OPERATIONS: Final = tuple(
    f"keras.src.ops.{name}" for name in ("numpy", "nn", "core", "math", "image", "linalg")
)
WRAPPED: Final = ("layer", "backward_layer", "cell")  # keys that contain a layer


def parse_config(text: str | bytes) -> Config:
    """Return a saved configuration with Keras 2's tuples and shapes as lists."""
    config: Config = json.loads(text, object_hook=_plain)
    return config


def keras3_config(config: Config) -> Config:
    """Return the configuration of a model or layer in the form of Keras 3.

    Raises WeightsError for a layer that is not Keras's own. A configuration from Keras 3 loses the
    keys that matter only in training, and is otherwise unchanged.
    """
    inner = config.get("config")
    if isinstance(inner, list):  # a Sequential of Keras 2.1 and earlier
        inner = {"name": "sequential", "layers": inner}
    if not isinstance(inner, dict) or not isinstance(config.get("class_name"), str):
        raise WeightsError("its configuration is not that of a Keras model")
    new: Config = {"registered_name": None}
    new |= {key: config[key] for key in ("name", "inbound_nodes") if key in config}
    if "layers" in inner and "input_layers" in inner:
        return {**new, "module": "keras", "class_name": "Model", "config": _graph(inner)}
    if "layers" in inner:
        return {**new, "module": "keras", "class_name": "Sequential", "config": _sequence(inner)}
    return {**new, **_layer(config["class_name"], inner)}


def _plain(value: Config) -> Any:
    return value["items"] if value.get("class_name") in ("__tuple__", "TensorShape") else value


def _graph(config: Config) -> Config:
    """Convert the configuration of a functional model."""
    kept: Config = {key: config[key] for key in ("name", "trainable") if key in config}
    return {**kept, **connect([keras3_config(layer) for layer in config["layers"]], config)}


def _sequence(config: Config) -> Config:
    """Convert the configuration of a Sequential, whose first layer may have the input shape."""
    layers = config["layers"]
    first = layers[0] if layers else {}
    shape = _input_shape(first) or config.get("build_input_shape")
    converted = [keras3_config(layer) for layer in layers]
    if shape is not None and first.get("class_name") != "InputLayer":
        converted.insert(0, keras3_config(_input(shape)))
    return {"name": config.get("name", "sequential"), "layers": converted}


def _input(shape: list[int | None]) -> Config:
    return {"class_name": "InputLayer", "config": {"batch_shape": shape}}


def _input_shape(layer: Config) -> list[int | None] | None:
    """Return the input shape of a layer, with the number of faces first, if it has one."""
    config = layer.get("config", {})
    layers = config if isinstance(config, list) else config.get("layers")
    if layers:
        return _input_shape(layers[0])
    shape: list[int | None] | None = config.get("batch_input_shape") or config.get("batch_shape")
    return shape


def _layer(written: str, config: Config) -> Config:
    """Convert a layer without a graph: its class and the arguments of the class."""
    name = written.rpartition(">")[2]
    if name == "Lambda":
        raise WeightsError(
            "it has a Lambda layer, and emostream does not run code from a model file: export "
            "the model to .onnx or"
            " .tflite in the program that saved it"
        )
    if name == "InputLayer" and "batch_input_shape" in config:
        config = {**config, "batch_shape": config["batch_input_shape"]}
    name = RENAMED_CLASSES.get(name, name)
    if name in AT_INFERENCE and "data_format" not in config:  # which Keras 3 writes
        name, added = AT_INFERENCE[name]
        config = {key: value for key, value in config.items() if key in REPLACED_KEYS} | added
    cls, kind = (None if "trainable" in config else _find_operation(name)) or _find_class(name)
    accepted = _parameters(cls)
    renamed = {RENAMED_KEYS.get((name, key), key): value for key, value in config.items()}
    new = {
        key: _value(name, key, value)
        for key, value in renamed.items()
        if key in accepted or not _is_without_effect(key, value)
    }
    return {**kind, "class_name": name, "config": new}


def _is_without_effect(key: str, value: Any) -> bool:
    """Return whether a key that Keras 3 does not accept may be left out."""
    # `groups` of 1 has no effect.
    neutral = value in OFF or (key, value) == ("groups", 1)
    return neutral or key in WITHOUT_EFFECT or key.endswith(TRAINING_SUFFIXES)


def _value(layer: str, key: str, value: Any) -> Any:
    if key in WRAPPED and isinstance(value, dict):
        return keras3_config(value)
    if key == "cells" or (key == "cell" and isinstance(value, list)):
        return [keras3_config(cell) for cell in value]
    if key.endswith("activation") and value in CHANGED_FUNCTIONS:
        return {"module": "builtins", "class_name": "function", "config": value}
    if key == "dtype" and isinstance(value, dict) and value["class_name"].startswith("Policy"):
        return value["config"]["name"]
    if key == "name" and isinstance(value, str):
        return layer_name(value)
    if layer == "BatchNormalization" and key == "axis" and isinstance(value, list):
        return value[0]
    return value


def _find_operation(name: str) -> tuple[type, Config] | None:
    """Return the class of an operation, like _find_class for layers; None if there is none."""
    for module in OPERATIONS:
        cls = getattr(importlib.import_module(module), name, None)
        if isinstance(cls, type):
            return cls, {"module": module}
    return None


def _find_class(name: str) -> tuple[type, Config]:
    """Return a layer's class, and the configuration keys by which Keras finds it."""
    import keras

    from emostream.models.engines.legacy_layers import LAYERS

    if name in LAYERS:
        return LAYERS[name], {"module": None, "registered_name": name}
    if name in PRIVATE_MODULES:
        module = PRIVATE_MODULES[name]
        return getattr(importlib.import_module(module), name), {"module": module}
    if not hasattr(keras.layers, name):
        raise WeightsError(
            f"it has a layer {name!r}, which Keras 3 does not have: export the model to .onnx "
            "or .tflite"
            " in the program that saved it"
        )
    return getattr(keras.layers, name), {"module": "keras.layers"}


def _parameters(cls: type) -> set[str]:
    """Return the argument names of a class, including those that it passes to its bases.

    Arguments that matter only in training are not included.
    """
    names: set[str] = set()
    for base in (each for each in cls.__mro__ if "__init__" in vars(each)):
        parameters = inspect.signature(vars(base)["__init__"]).parameters
        names |= set(parameters)
        if all(each.kind is not each.VAR_KEYWORD for each in parameters.values()):
            break
    return {name for name in names if not name.endswith(TRAINING_SUFFIXES)}
