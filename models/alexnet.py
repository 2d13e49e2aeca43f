"""AlexNet for faces: one builder, three sizes, with the preprocessing inside the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from keras import layers

from emostream.models.labels import HEADS


@dataclass(frozen=True)
class Architecture:
    """The parameters that differ between the networks; `side` is the input side in pixels."""

    side: int
    filters: tuple[int, int, int, int, int]
    kernels: tuple[int, int, int, int, int]
    stride: int  # of the first convolution
    padding: str  # of the first convolution
    pool: int
    dense: tuple[int, int]


ARCHITECTURES: Final = {
    "alexnet-fer": Architecture(
        side=48,
        filters=(32, 96, 160, 160, 160),
        kernels=(5, 3, 3, 3, 3),
        stride=1,
        padding="same",
        pool=2,
        dense=(512, 256),
    ),
    # As large as alexnet-fer, with 48 x 48 faces enlarged; see EXPERIMENTS.md for the gain.
    "alexnet-64": Architecture(
        side=64,
        filters=(32, 96, 144, 144, 144),
        kernels=(3, 3, 3, 3, 3),
        stride=1,
        padding="same",
        pool=2,
        dense=(384, 256),
    ),
    "alexnet-227": Architecture(
        side=227,
        filters=(96, 256, 384, 384, 256),
        kernels=(11, 5, 3, 3, 3),
        stride=4,
        padding="valid",
        pool=3,
        dense=(4096, 4096),
    ),
}


def build(
    name: str = "alexnet-fer",
    dropout: float = 0.4,
    dtype: str = "float32",
    heads: Mapping[str, int] = HEADS,
) -> Any:
    """Return the untrained network: uint8 faces (N, H, W) of any size to probabilities.

    `heads` maps output names to numbers of classes; each output is float32 (N, classes). The heads
    share all layers but the last. `single_head` extracts the network of one head.

    The layers follow Krizhevsky et al. 2012, without the split over two GPUs, and with batch
    normalization instead of local response normalization. ReLU and max pooling commute; pooling
    comes first, so that normalization and ReLU process a quarter of the pixels. `dtype` is the
    Keras dtype policy of the layers with weights, e.g. "mixed_bfloat16".
    """
    size = ARCHITECTURES[name]
    faces = keras.Input((None, None), dtype="uint8", name="faces")
    x = preprocess(faces, size.side)

    x = _convolution(x, size, 1, dtype)
    x = layers.MaxPooling2D(size.pool, 2, name="pool1", dtype=dtype)(x)
    x = _rectify(x, "1", dtype)
    x = _convolution(x, size, 2, dtype)
    x = layers.MaxPooling2D(size.pool, 2, name="pool2", dtype=dtype)(x)
    x = _rectify(x, "2", dtype)
    x = _convolution(x, size, 3, dtype)
    x = _rectify(x, "3", dtype)
    x = _convolution(x, size, 4, dtype)
    x = _rectify(x, "4", dtype)
    x = _convolution(x, size, 5, dtype)
    x = layers.MaxPooling2D(size.pool, 2, name="pool5", dtype=dtype)(x)
    x = _rectify(x, "5", dtype)

    x = layers.Flatten(name="flatten", dtype=dtype)(x)
    x = layers.Dropout(dropout, name="dropout6", dtype=dtype)(x)
    x = layers.Dense(size.dense[0], use_bias=False, name="dense6", dtype=dtype)(x)
    x = _rectify(x, "6", dtype)
    x = layers.Dropout(dropout, name="dropout7", dtype=dtype)(x)
    x = layers.Dense(size.dense[1], use_bias=False, name="dense7", dtype=dtype)(x)
    x = _rectify(x, "7", dtype)
    outputs = {head: softmax_head(x, head, classes, dtype) for head, classes in heads.items()}
    return keras.Model(faces, outputs, name=name)


def single_head(net: Any, head: str) -> Any:
    """Return the network with one output (N, classes), not a map; it shares weights."""
    return keras.Model(net.input, net.output[head], name=net.name)


def preprocess(faces: Any, side: int) -> Any:
    """Convert uint8 faces (N, H, W) to (N, side, side, 1), each with mean 0 and deviation 1.

    Resampling is antialiased. A face of a single color becomes zeros.
    """
    x = layers.Rescaling(1 / 255, name="rescale", dtype="float32")(faces)
    x = resample(x, side)
    x = keras.ops.expand_dims(x, -1)
    return layers.LayerNormalization(
        axis=(1, 2, 3), epsilon=1e-4, center=False, scale=False, name="standardise", dtype="float32"
    )(x)


def resample(faces: Any, side: int) -> Any:
    """Resize float32 faces (N, H, W) to (N, side, side), with N at least 1.

    Bilinear, with a wider triangle filter when shrinking, like Pillow and
    `tf.image.resize(antialias=True)`, but as two matrix products: all backends, LiteRT and ONNX
    Runtime compute these identically, while each has its own antialiased resizing, or none.
    """
    rows = _triangles(keras.ops.mean(faces, axis=(0, 2)), side)
    columns = _triangles(keras.ops.mean(faces, axis=(0, 1)), side)
    return keras.ops.matmul(keras.ops.matmul(rows, faces), keras.ops.transpose(columns))


def _triangles(line: Any, side: int) -> Any:
    """Return the weights (side, L) that resample a line of L pixels.

    Only the length of `line` matters. It is counted at run time, because the symbolic shape is
    unknown.
    """
    ones = line * 0 + 1
    length = keras.ops.sum(ones)
    centers = keras.ops.cumsum(ones) - 0.5
    targets = (length / side) * (np.arange(side, dtype=np.float32)[:, None] + 0.5)
    reach = keras.ops.maximum(length / side, 1.0)
    weights = keras.ops.relu(1 - keras.ops.abs(keras.ops.subtract(centers, targets)) / reach)
    return weights / keras.ops.sum(weights, axis=1, keepdims=True)


def _convolution(x: Any, size: Architecture, number: int, dtype: str) -> Any:
    first = number == 1
    return layers.Conv2D(
        size.filters[number - 1],
        size.kernels[number - 1],
        strides=size.stride if first else 1,
        padding=size.padding if first else "same",
        use_bias=False,
        name=f"conv{number}",
        dtype=dtype,
    )(x)


def softmax_head(x: Any, head: str, classes: int, dtype: str) -> Any:
    """Add the layers of a head: from features (N, F) to float32 probabilities (N, classes)."""
    logits = layers.Dense(classes, name=f"logits_{head}", dtype=dtype)(x)
    return layers.Softmax(name=head, dtype="float32")(logits)


def _rectify(x: Any, suffix: str, dtype: str) -> Any:
    x = layers.BatchNormalization(momentum=0.98, name=f"norm{suffix}", dtype=dtype)(x)
    return layers.ReLU(name=f"relu{suffix}", dtype=dtype)(x)
