"""The parts of ONNX's file format that a detector needs: writing a graph, and freeing sizes.

ONNX is protobuf (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): a message is a sequence
of fields, each with a key (number and wire type) and a number or bytes. The package `onnx` is not
needed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Attribute: TypeAlias = str | Sequence[int] | int
Field: TypeAlias = tuple[int, int | bytes]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
IR_VERSION: Final = 6
OPSET: Final = 11
FLOAT, INT64 = 1, 7  # kinds of tensor
INT_KIND, STRING_KIND, INTS_KIND = 2, 3, 7  # kinds of attribute
# Field numbers.
MODEL_IR, MODEL_GRAPH, MODEL_OPSET = 1, 7, 8
GRAPH_NODE, GRAPH_NAME, GRAPH_INITIALIZER = 1, 2, 5
GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_VALUE_INFO = 11, 12, 13


def model(graph: bytes) -> bytes:
    """Return a whole ONNX file with this graph."""
    opset = message([(1, b""), (2, OPSET)])
    return message([(MODEL_IR, IR_VERSION), (MODEL_GRAPH, graph), (MODEL_OPSET, opset)])


def node(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute]
) -> bytes:
    """Return an operation."""
    fields: list[Field] = [(1, name.encode()) for name in inputs]
    fields += [(2, name.encode()) for name in outputs]
    fields.append((4, kind.encode()))
    fields += [(5, _attribute(name, value)) for name, value in attributes.items()]
    return message(fields)


def tensor(name: str, values: NDArray[np.float32] | NDArray[np.int64]) -> bytes:
    """Return a constant of the graph, float32 or int64, of any shape."""
    kind = FLOAT if values.dtype == np.float32 else INT64
    dims: list[Field] = [(1, size) for size in values.shape]
    data = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    return message([*dims, (2, kind), (8, name.encode()), (9, data)])


def value_info(name: str, shape: Sequence[int | str] | None) -> bytes:
    """Return a float32 input or output; a name in its shape is a free dimension."""
    dims = [
        (1, message([(2, size.encode()) if isinstance(size, str) else (1, size)]))
        for size in shape or ()
    ]
    of: list[Field] = [(1, FLOAT)] + ([] if shape is None else [(2, message(dims))])
    return message([(1, name.encode()), (2, message([(1, message(of))]))])


def output_names(content: bytes) -> set[str]:
    """Return the names of a model's outputs; ValueError if the data is not an ONNX model."""
    return {
        _name(value)
        for graph in _graphs(content)
        for number, value in parse(graph)
        if number == GRAPH_OUTPUT and isinstance(value, bytes)
    }


def for_any_size(content: bytes, joined: Mapping[str, Sequence[str]]) -> bytes:
    """Return an ONNX model for pictures with free height and width.

    The first input becomes (1, 3, height, width); the shapes of computed values are removed. Each
    output of the new model, by its name in `joined`, has the named outputs of the old one, joined
    along their second axis. Raises ValueError if the data is not an ONNX model.
    """
    _graphs(content)
    return message(
        [
            (number, _changed(value, joined))
            if number == MODEL_GRAPH and isinstance(value, bytes)
            else (number, value)
            for number, value in parse(content)
        ]
    )


def _graphs(content: bytes) -> list[bytes]:
    """Return the graph of a model, as a list; ValueError if the data is not an ONNX model."""
    try:
        fields = list(parse(content))
    except IndexError as error:
        raise ValueError("it is truncated") from error
    graphs = [value for number, value in fields if number == MODEL_GRAPH]
    if not graphs:
        raise ValueError("it has no graph")
    return [graph for graph in graphs if isinstance(graph, bytes)]


def _changed(graph: bytes, joined: Mapping[str, Sequence[str]]) -> bytes:
    fields: list[Field] = []
    for number, value in parse(graph):
        if number == GRAPH_INPUT and isinstance(value, bytes):
            value = value_info(_name(value), (1, 3, "height", "width"))
        if number not in (GRAPH_OUTPUT, GRAPH_VALUE_INFO):
            fields.append((number, value))
    for name, parts in joined.items():
        fields.append((GRAPH_NODE, node("Concat", parts, [name], {"axis": 1})))
        fields.append((GRAPH_OUTPUT, value_info(name, None)))
    return message(fields)


def _name(value_info: bytes) -> str:
    name = dict(parse(value_info))[1]
    assert isinstance(name, bytes)
    return name.decode()


def message(fields: Sequence[Field]) -> bytes:
    """Encode the fields of a message, in their order."""
    parts = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            parts += _varint(number << 3 | VARINT) + _varint(value)
        else:
            parts += _varint(number << 3 | BYTES) + _varint(len(value)) + value
    return bytes(parts)


def parse(content: bytes) -> Iterator[Field]:
    """Yield the fields of a message; ValueError or IndexError if it is invalid."""
    place = 0
    while place < len(content):
        key, place = _read_varint(content, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = _read_varint(content, place)
            yield number, value
        elif kind == BYTES:
            length, place = _read_varint(content, place)
            if place + length > len(content):
                raise ValueError("it is truncated")
            yield number, content[place : place + length]
            place += length
        else:
            raise ValueError(f"it contains a field of kind {kind}")


def _attribute(name: str, value: Attribute) -> bytes:
    fields: list[Field] = [(1, name.encode())]
    match value:
        case int():
            fields += [(3, value), (20, INT_KIND)]
        case str():
            fields += [(4, value.encode()), (20, STRING_KIND)]
        case _:
            fields += [*((8, number) for number in value), (20, INTS_KIND)]
    return message(fields)


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1  # a negative number takes all 64 bits
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[place]
        place += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, place
