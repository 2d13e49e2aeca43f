"""YuNet_s as an ONNX graph, from its weights by name (Wu, Peng and Yu 2023).

Its convolutions are separable: 1 x 1, then 3 x 3 per channel. A backbone of six units halves the
picture five times; a feature pyramid adds its last three levels (8, 16 and 32 pixels per cell) from
coarse to fine, and four heads process each level.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emostream.services.detector import onnx_file
from emostream.services.detector.onnx_file import Attribute

Arrays = Mapping[str, NDArray[np.float32]]

INPUT: Final = "input"
STRIDES: Final = (8, 16, 32)
# The output of each head per cell: face score, box quality, box and points.
HEADS: Final = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


def build(weights: Arrays) -> bytes:
    """Return the ONNX file, for float32 (1, 3, height, width) in BGR order and 0..255.

    Height and width are multiples of 32. Its outputs `cls_8` to `kps_32` are (1, cells, numbers).
    `weights` are in libfacedetection's format; raises KeyError or ValueError otherwise.
    """
    graph = _Graph(weights)
    x = graph.stem("backbone__model0", INPUT)
    levels = []
    for number in range(1, 6):
        if number != 2:
            x = graph.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
        for half in ("dp1", "dp2"):
            x = graph.separable([f"backbone__model{number}_{half}"], x)
        levels.append(x)
    for place, level in enumerate(_pyramid(graph, levels[-3:])):
        names = [f"bbox_head__multi_level_{head}__{place}" for head in HEADS]
        graph.give(graph.separable(names, level, relu=False), STRIDES[place])
    return graph.finish()


def _pyramid(graph: "_Graph", levels: Sequence[str]) -> list[str]:
    """Return the three levels, fine to coarse, each combined with the coarser ones."""
    seen: list[str] = []
    for place in (2, 1, 0):
        x = levels[place]
        if seen:
            x = graph.add("Add", [x, graph.enlarge(seen[0])])
        seen.insert(0, graph.separable([f"neck__lateral_convs__{place}"], x))
    return seen


class _Graph:
    """The nodes and constants so far; each operation returns the name of its output."""

    def __init__(self, weights: Arrays) -> None:
        self._weights = weights
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}
        self._outputs: list[bytes] = []

    def add(
        self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Attribute
    ) -> str:
        output = output or f"t{len(self._nodes)}"
        self._nodes.append(onnx_file.node(kind, inputs, [output], attributes))
        return output

    def stem(self, name: str, x: str) -> str:
        """Halve the picture; each 3 x 3 x 3 kernel is stored in a row of 32, with 27 used."""
        rows = self._weights[f"{name}_pw_weight"].reshape(-1, 32)[:, :27]
        weight = rows.reshape(-1, 3, 3, 3).transpose(0, 3, 1, 2)
        x = self._convolve([f"{name}_pw"], x, weight, strides=[2, 2], pads=[1] * 4)
        return self.separable([f"{name}_dp"], self.add("Relu", [x]))

    def separable(self, names: Sequence[str], x: str, *, relu: bool = True) -> str:
        """Add one convolution with the channels of all that are named, one after the other."""
        across, each = [], []
        for name in names:
            channels = len(self._weights[f"{name}_dw_bias"])
            across.append(self._weights[f"{name}_pw_weight"].reshape(channels, -1, 1, 1))
            kernels = self._weights[f"{name}_dw_weight"].reshape(9, channels)
            each.append(kernels.T.reshape(channels, 1, 3, 3))
        weight = np.concatenate(each)
        x = self._convolve([f"{name}_pw" for name in names], x, np.concatenate(across))
        x = self._convolve(
            [f"{name}_dw" for name in names], x, weight, pads=[1] * 4, group=len(weight)
        )
        return self.add("Relu", [x]) if relu else x

    def enlarge(self, x: str) -> str:
        inputs = [x, self._constant("roi", np.empty(0, np.float32))]
        inputs.append(self._constant("twice", np.array([1, 1, 2, 2], np.float32)))
        return self.add(
            "Resize",
            inputs,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def give(self, x: str, stride: int) -> None:
        """Return the heads' numbers of a level, one row per cell; single ones are shares in 0..1.

        One convolution computes all heads, because ONNX Runtime computes at least 16 channels.
        """
        x = self.add("Transpose", [x], perm=[0, 2, 3, 1])
        rows = self._constant("rows", np.array([1, -1, sum(HEADS.values())], np.int64))
        x = self.add("Reshape", [x, rows])
        outputs = {head: f"{head}_{stride}" for head in HEADS}
        parts = [f"{name}_logits" if HEADS[head] == 1 else name for head, name in outputs.items()]
        self._nodes.append(
            onnx_file.node("Split", [x], parts, {"axis": 2, "split": list(HEADS.values())})
        )
        for part, (head, name) in zip(parts, outputs.items(), strict=True):
            if part != name:
                self.add("Sigmoid", [part], name)
            info = onnx_file.value_info(name, (1, f"{name}_cells", HEADS[head]))
            self._outputs.append(info)

    def finish(self) -> bytes:
        fields: list[onnx_file.Field] = [(onnx_file.GRAPH_NODE, node) for node in self._nodes]
        fields.append((onnx_file.GRAPH_NAME, b"yunet_s"))
        fields += [(onnx_file.GRAPH_INITIALIZER, value) for value in self._constants.values()]
        picture = onnx_file.value_info(INPUT, (1, 3, "height", "width"))
        fields.append((onnx_file.GRAPH_INPUT, picture))
        fields += [(onnx_file.GRAPH_OUTPUT, output) for output in self._outputs]
        return onnx_file.model(onnx_file.message(fields))

    def _convolve(
        self, names: Sequence[str], x: str, weight: NDArray[np.float32], **attributes: Attribute
    ) -> str:
        biases = np.concatenate([self._weights[f"{name}_bias"] for name in names])
        bias = self._constant(f"{names[0]}_bias", biases)
        inputs = [x, self._constant(f"{names[0]}_weight", weight), bias]
        return self.add("Conv", inputs, "", kernel_shape=list(weight.shape[2:]), **attributes)

    def _constant(self, name: str, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        self._constants.setdefault(name, onnx_file.tensor(name, values))
        return name
