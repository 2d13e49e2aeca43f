"""Writes models.zip with Keras 2 itself: small networks as .h5, and what they give for `inputs`.

Needs TensorFlow 2.12 to 2.15, whose Keras that is, in its own environment: python
tests/keras2/write_models.py
"""

import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

SHAPE = (24, 24, 3)
FILE = Path(__file__).with_name("models.zip")

keras = tf.keras
layers = keras.layers


def base(name: str = "base", shape: tuple[int, ...] = SHAPE) -> Any:
    """Return a network with the layers of a MobileNet, and a branch."""
    given = layers.Input(shape)
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="stem/conv")(given)
    x = layers.BatchNormalization(name="stem/norm")(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(layers.ReLU(6.0)(x))
    x = layers.BatchNormalization()(x)
    y = layers.SeparableConv2D(4, 3, padding="same")(layers.LeakyReLU(0.1)(x))
    y = layers.BatchNormalization()(y)
    return keras.Model(given, layers.Add()([x, y]), name=name)


def head(x: Any) -> Any:
    return layers.Dense(7, activation="softmax")(
        layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    )


def net(build: Callable[[Any], Any], shape: tuple[int, ...] = SHAPE) -> Any:
    given = layers.Input(shape)
    return keras.Model(given, build(given))


def nested() -> Any:
    return net(lambda x: head(base()(x)))


def nested_sequential() -> Any:
    return keras.Sequential(
        [base(), layers.GlobalAveragePooling2D(), layers.Dense(7, activation="softmax")]
    )


def sequential_in_sequential() -> Any:
    inner = keras.Sequential([base(), layers.Conv2D(4, 3)], name="inner")
    outer = keras.Sequential([inner, layers.SeparableConv2D(4, 3)], name="outer")
    return keras.Sequential([outer, layers.GlobalMaxPooling2D(), layers.Dense(7), layers.Softmax()])


def nested_twice() -> Any:
    inner = base("inner")
    inner.trainable = False
    for layer in inner.layers[-4:]:
        layer.trainable = True
    norm = layers.BatchNormalization()
    outer = net(lambda x: norm(layers.Conv2D(4, 1)(inner(x))))
    return net(lambda x: head(outer(x, training=False)))


def partly_frozen() -> Any:
    frozen = base()
    for layer in frozen.layers[:4]:
        layer.trainable = False
    return net(lambda x: head(frozen(x)))


def called_twice() -> Any:
    shared = base()
    return net(lambda x: head(layers.Concatenate()([shared(x), shared(layers.Rescaling(0.5)(x))])))


def transfer_learning() -> Any:
    """Return what TensorFlow's tutorial on transfer learning builds."""
    augment = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])
    prepare = keras.applications.mobilenet_v2.preprocess_input
    return net(lambda x: head(base()(prepare(augment(x)), training=False)))


def augmented() -> Any:
    def build(x: Any) -> Any:
        x = layers.RandomZoom(0.1)(layers.Rescaling(1 / 127.5, offset=-1)(x))
        x = layers.RandomContrast(0.1)(layers.RandomHeight(0.1)(layers.RandomWidth(0.1)(x)))
        x = layers.RandomTranslation(0.1, 0.1)(layers.Resizing(24, 24)(x))
        x = layers.CenterCrop(18, 18)(layers.RandomCrop(20, 20)(x))
        return head(base(shape=(18, 18, 3))(x))

    return net(build)


def normalized() -> Any:
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(0).uniform(0, 255, (9, *SHAPE)).astype(np.float32))
    inner = net(lambda x: base("inner")(norm(x)))
    return net(lambda x: head(inner(x)))


def functions() -> Any:
    def build(x: Any) -> Any:
        x = keras.applications.vgg16.preprocess_input(x)
        x = 1.0 - (x / 255.0 - 0.5) * 2.0
        x = tf.image.resize(tf.cast(x, tf.float32), (20, 20))
        y = layers.Conv2D(3, 3, padding="same")(x)
        x = tf.concat([tf.math.multiply(x, y), x + y], -1)
        x = tf.reduce_mean(tf.nn.sigmoid(x) * x, [1, 2])
        return tf.nn.softmax(layers.Dense(7)(x))

    return net(build)


def gates() -> Any:
    def build(x: Any) -> Any:
        x = layers.Conv2D(6, 3)(layers.Rescaling(1 / 255)(x))
        gate = layers.Conv2D(6, 1, activation="hard_sigmoid")(
            layers.GlobalAveragePooling2D(keepdims=True)(x)
        )
        return head(layers.Multiply()([x, gate]))

    return net(build)


def sequences() -> Any:
    def build(x: Any) -> Any:
        x = layers.Reshape((2, 12, 24, 3))(x)
        x = layers.TimeDistributed(base(shape=(12, 24, 3)))(x)
        x = layers.TimeDistributed(layers.BatchNormalization())(x)
        x = layers.TimeDistributed(layers.GlobalAveragePooling2D())(x)
        x = layers.Bidirectional(layers.GRU(4, return_sequences=True))(x)
        return layers.Dense(7, activation="softmax")(layers.LSTM(4)(x))

    return net(build)


def attention() -> Any:
    def build(x: Any) -> Any:
        x = layers.Reshape((9, 6))(layers.Conv2D(6, 8, strides=8)(x))
        x = layers.LayerNormalization()(layers.MultiHeadAttention(2, 3)(x, x))
        x = layers.Attention()([x, x])
        return layers.Dense(7, activation="softmax")(layers.GlobalAveragePooling1D()(x))

    return net(build)


def activations() -> Any:
    def build(x: Any) -> Any:
        for activation in (
            *(layers.LeakyReLU(), layers.PReLU(), layers.ELU(0.5), layers.ThresholdedReLU(0.1)),
            *(layers.Activation(tf.nn.relu6), layers.Activation("swish")),
        ):
            x = layers.SpatialDropout2D(0.1)(layers.Conv2D(3, 3, kernel_regularizer="l2")(x))
            x = activation(x)
        return head(x)

    return net(build)


def half_precision() -> Any:
    policy = keras.mixed_precision.Policy("mixed_float16")

    def build(x: Any) -> Any:
        x = layers.BatchNormalization(dtype=policy)(layers.Conv2D(3, 3, dtype=policy)(x))
        x = layers.GlobalAveragePooling2D()(layers.Activation("relu", dtype=policy)(x))
        return layers.Dense(7, activation="softmax", dtype="float32")(x)

    return net(build)


class Backbone(tf.keras.Model):  # type: ignore[misc]
    """A functional model under its own name."""


def trained_subclass() -> Any:
    inner = base()
    backbone = Backbone(inner.input, inner.output)
    model = net(lambda x: head(backbone(x)))

    def loss(true: Any, predicted: Any) -> Any:
        return tf.reduce_mean((true - predicted) ** 2)

    model.compile("sgd", loss=loss, metrics=["accuracy"])
    model.fit(np.zeros((2, *SHAPE)), np.eye(7)[:2], verbose=0)
    return model


def lambda_layer() -> Any:
    return net(lambda x: head(layers.Lambda(lambda y: y / 255)(x)))


MODELS = (
    *(nested, nested_sequential, sequential_in_sequential, nested_twice, partly_frozen),
    *(called_twice, transfer_learning, augmented, normalized, functions, gates, sequences),
    *(attention, activations, half_precision, trained_subclass, lambda_layer),
)


def inputs() -> Any:
    """Return pictures, float32 (2, 24, 24, 3)."""
    return np.random.default_rng(1).integers(0, 256, (2, *SHAPE)).astype(np.float32)


def draw_weights(model: Any) -> None:
    """Give all weights random values, so that no two may be mistaken for each other."""
    random = np.random.default_rng(2)
    for weight in model.weights:
        if "moving_variance" in weight.name:
            weight.assign(random.uniform(0.5, 2, weight.shape))
        elif weight.dtype.is_floating and not weight.name.endswith(("mean:0", "variance:0")):
            weight.assign(random.normal(0, 0.3, weight.shape))


def main() -> None:
    """Write each model and its probabilities, none of which is near 0 or 1 for sure."""
    probabilities = {}
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(FILE, "w") as saved:
        for build in MODELS:
            keras.backend.clear_session()
            model, path = build(), Path(folder) / f"{build.__name__}.h5"
            draw_weights(model)
            last = [weight for weight in model.weights if "kernel" in weight.name][-1]
            while model.predict(inputs(), verbose=0).max() > 0.8:
                last.assign(last * 0.5)
            model.save(path, include_optimizer=build is trained_subclass)
            probabilities[build.__name__] = model.predict(inputs(), verbose=0).tolist()
            saved.write(path, path.name, zipfile.ZIP_DEFLATED)
        saved.writestr("probabilities.json", json.dumps(probabilities))


if __name__ == "__main__":
    main()
