"""Converts the calls that connect layers of a functional model from Keras 2 to Keras 3."""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

Config: TypeAlias = dict[str, Any]

CONSTANT: Final = "_CONSTANT_VALUE"
OPERATIONS: Final = ("TFOpLambda", "SlicingOpLambda")  # TensorFlow functions as layers


def connect(layers: list[Config], config: Config) -> Config:
    """Return `layers`, `input_layers` and `output_layers` of a functional model's configuration.

    `layers` must be converted except for their `inbound_nodes`. Keras 2 writes a call as a list of
    references, [layer, call number, output number, other arguments], and counts a nested model's
    own graph as its first call; Keras 3 does not count it. Graphs from Keras 3 are returned
    unchanged.
    """
    ends = {key: single(config[key]) for key in ("input_layers", "output_layers")}
    calls = [node for layer in layers for node in layer["inbound_nodes"] if isinstance(node, list)]
    if not calls:
        return {"layers": layers, **ends}
    models = {layer["name"]: layer["class_name"] for layer in layers if layer["module"] == "keras"}
    first: dict[str, int] = {}
    for name, call in _references([*calls, *ends.values()]):
        first[name] = min(call, first.get(name, call)) if name in models else 0
    new = [
        {
            **layer,
            "name": layer_name(layer["name"]),
            **_calls(layer, first),
        }
        for layer in layers
    ]
    # Keras 3 removes that first call again if a functional model provides the output.
    counted = {name: first[name] - (models.get(name) == "Model") for name in first}
    return {"layers": new} | {key: _end(ends[key], counted) for key in ends}


def layer_name(name: str) -> str:
    """Return the name of a layer without the slashes that Keras 3 forbids."""
    return name.replace("/", ".")


def single(references: Any) -> Any:
    """Return the reference in a list of length one, anything else unchanged."""
    one = isinstance(references, list) and len(references) == 1
    return references[0] if one and _is_reference(references[0]) else references


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and type(value[1]) is int
        and (value[0] == CONSTANT or type(value[2]) is int)
    )


def _references(value: Any) -> Iterator[tuple[str, int]]:
    """Yield the layer and call number of each reference in a nested structure."""
    if _is_reference(value) and value[0] != CONSTANT:
        yield value[0], value[1]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        yield from _references(item)


def _calls(layer: Config, first: dict[str, int]) -> Config:
    """Return the calls of a layer; for an operation, also its configuration with arguments."""
    calls = [
        node if isinstance(node, dict) else _call(node, first) for node in layer["inbound_nodes"]
    ]
    if layer["class_name"] not in OPERATIONS:
        return {"inbound_nodes": calls}
    # Keras 3 does not accept a call that mixes tensors with other values.
    tensors: list[Config] = []
    (call,) = calls
    config = {**layer["config"], **{key: _without_tensors(call[key], tensors) for key in call}}
    return {"config": config, "inbound_nodes": [{"args": [tensors], "kwargs": {}}]}


def _without_tensors(value: Any, tensors: list[Config]) -> Any:
    """Return an argument with tensors replaced by their numbers, and append them to `tensors`."""
    if isinstance(value, list):
        return [_without_tensors(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") != "__keras_tensor__":
        return {key: _without_tensors(item, tensors) for key, item in value.items()}
    tensors.append(value)
    return {"tensor": len(tensors) - 1}


def _call(node: Any, first: dict[str, int]) -> Config:
    """Convert one call of a layer."""
    node = reference = single(node)
    while isinstance(reference, list) and reference and not _is_reference(reference):
        reference = reference[0]
    others = reference[3] if _is_reference(reference) and len(reference) == 4 else {}
    return {"args": [_argument(node, first)], "kwargs": _argument(others, first)}


def _argument(value: Any, first: dict[str, int]) -> Any:
    """Convert an argument of a call, in which references may be nested."""
    if _is_reference(value):
        return value[2] if value[0] == CONSTANT else _tensor(value, first)
    if isinstance(value, list):
        return [_argument(item, first) for item in value]
    if isinstance(value, dict):
        return {key: _argument(item, first) for key, item in value.items()}
    return value


def _tensor(reference: list[Any], first: dict[str, int]) -> Config:
    name, call, output = reference[:3]
    history = [layer_name(name), call - first[name], output]
    # Keras 3 looks up the tensor by its history, regardless of the stated shape.
    config = {"shape": [], "dtype": "float32", "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}


def _end(value: Any, first: dict[str, int]) -> Any:
    """Convert the references to a model's inputs or outputs."""
    if _is_reference(value):
        return [layer_name(value[0]), value[1] - first[value[0]], value[2]]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    converted = {key: _end(item, first) for key, item in items}
    return converted if isinstance(value, dict) else list(converted.values())
