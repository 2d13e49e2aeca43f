"""A residual network with channel attention, larger than the shipped network, as its teacher."""

from collections.abc import Mapping
from typing import Any, Final

import keras
from keras import layers

from emostream.models.alexnet import preprocess, softmax_head
from emostream.models.labels import HEADS

NAME: Final = "residual"
SIDE: Final = 48
# Filters and blocks of each stage; each stage halves the side.
STAGES: Final = ((64, 2), (128, 3), (256, 3))
SQUEEZE: Final = 8  # reduction of channels in the attention's inner layer


def build(dropout: float = 0.2, dtype: str = "float32", heads: Mapping[str, int] = HEADS) -> Any:
    """Return the untrained network: uint8 faces (N, H, W) of any size to probabilities by head.

    Each block has two 3 x 3 convolutions (He et al. 2016) with normalization before ReLU, and a
    weight for each channel computed from its mean (Hu et al. 2018). It takes 0.62 GFLOP per face.
    Inputs, outputs, and `dtype` are as in `alexnet.build`.
    """
    faces = keras.Input((None, None), dtype="uint8", name="faces")
    x = preprocess(faces, SIDE)
    x = _normalized(x, STAGES[0][0] // 2, "stem", dtype)
    x = layers.ReLU(name="stem_relu", dtype=dtype)(x)
    x = layers.MaxPooling2D(2, name="stem_pool", dtype=dtype)(x)
    for stage, (filters, blocks) in enumerate(STAGES, start=1):
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            x = _block(x, filters, stride, f"block{stage}_{block}", dtype)
    x = layers.GlobalAveragePooling2D(name="features", dtype=dtype)(x)
    x = layers.Dropout(dropout, name="dropout", dtype=dtype)(x)
    outputs = {head: softmax_head(x, head, classes, dtype) for head, classes in heads.items()}
    return keras.Model(faces, outputs, name=NAME)


def _block(x: Any, filters: int, stride: int, name: str, dtype: str) -> Any:
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        if stride > 1:
            shortcut = layers.AveragePooling2D(stride, name=f"{name}_pool", dtype=dtype)(shortcut)
        shortcut = _normalized(shortcut, filters, f"{name}_shortcut", dtype, side=1)
    x = _normalized(x, filters, f"{name}_1", dtype, stride=stride)
    x = layers.ReLU(name=f"{name}_1_relu", dtype=dtype)(x)
    x = _normalized(x, filters, f"{name}_2", dtype)
    x = layers.Multiply(name=f"{name}_weighed", dtype=dtype)([x, _attention(x, name, dtype)])
    x = layers.Add(name=f"{name}_sum", dtype=dtype)([x, shortcut])
    return layers.ReLU(name=f"{name}_relu", dtype=dtype)(x)


def _attention(x: Any, name: str, dtype: str) -> Any:
    channels = x.shape[-1]
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean", dtype=dtype)(x)
    y = layers.Dense(channels // SQUEEZE, "relu", name=f"{name}_squeeze", dtype=dtype)(y)
    return layers.Dense(channels, "sigmoid", name=f"{name}_weights", dtype=dtype)(y)


def _normalized(
    x: Any, filters: int, name: str, dtype: str, *, side: int = 3, stride: int = 1
) -> Any:
    x = layers.Conv2D(
        filters, side, stride, "same", use_bias=False, name=f"{name}_conv", dtype=dtype
    )(x)
    return layers.BatchNormalization(momentum=0.98, name=f"{name}_norm", dtype=dtype)(x)
