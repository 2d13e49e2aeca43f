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
    """What differs between the networks; `side` is the input's in pixels."""

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
    # As large as alexnet-fer, and 48 x 48 faces enlarged: EXPERIMENTS.md has what that is worth.
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

    Each of `heads` is an output of that name with that many classes, float32 (N, classes); they
    share all but the last layer. `single_head` cuts the network of one head out.

    The layers are those of Krizhevsky et al. 2012 without the split over two GPUs and with batch
    normalization instead of the local response one. ReLU and max pooling commute; pooling comes
    first because normalization and ReLU then have a quarter of the pixels to work on.
    `dtype` is the Keras policy of the layers that hold weights, e.g. "mixed_bfloat16".
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
    """Bring uint8 faces (N, H, W) to (N, side, side, 1) of mean 0 and deviation 1 each.

    Resampling is antialiased. A face of a single color becomes zeros.
    """
    x = layers.Rescaling(1 / 255, name="rescale", dtype="float32")(faces)
    x = resample(x, side)
    x = keras.ops.expand_dims(x, -1)
    return layers.LayerNormalization(
        axis=(1, 2, 3), epsilon=1e-4, center=False, scale=False, name="standardise", dtype="float32"
    )(x)


def resample(faces: Any, side: int) -> Any:
    """Bring float32 faces (N, H, W) to (N, side, side), N at least 1.

    Bilinear with the triangle widened where the picture shrinks, as Pillow and
    `tf.image.resize(antialias=True)` do it, but as two products of matrices: every backend, LiteRT
    and ONNX Runtime compute those alike, while each has its own antialiased resizing or none.
    """
    rows = _triangles(keras.ops.mean(faces, axis=(0, 2)), side)
    columns = _triangles(keras.ops.mean(faces, axis=(0, 1)), side)
    return keras.ops.matmul(keras.ops.matmul(rows, faces), keras.ops.transpose(columns))


def _triangles(line: Any, side: int) -> Any:
    """Return the weights (side, L) that resample a line of L pixels; its values do not matter.

    The length is counted from the line, since its symbolic shape is unknown.
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
    """Add the layers of a head: float32 probabilities (N, classes) of features (N, F)."""
    logits = layers.Dense(classes, name=f"logits_{head}", dtype=dtype)(x)
    return layers.Softmax(name=head, dtype="float32")(logits)


def _rectify(x: Any, suffix: str, dtype: str) -> Any:
    x = layers.BatchNormalization(momentum=0.98, name=f"norm{suffix}", dtype=dtype)(x)
    return layers.ReLU(name=f"relu{suffix}", dtype=dtype)(x)
