"""Layers and functions of Keras 2 that Keras 3 does not have, or computes differently."""

from typing import Any, Final

import keras
import tensorflow as tf

from emostream.shared.errors import WeightsError

# The TensorFlow functions allowed in a graph: they only compute, without file access.
NAMESPACES: Final = ("__operators__", "image", "linalg", "math", "nn")
FUNCTIONS: Final = frozenset(
    {
        *("abs", "add", "broadcast_to", "cast", "clip_by_value", "concat", "divide", "expand_dims"),
        *("fill", "gather", "identity", "maximum", "minimum", "multiply", "negative", "one_hot"),
        *("ones_like", "pad", "pow", "range", "rank", "repeat", "reshape", "reverse", "round"),
        *("shape", "sign", "slice", "split", "sqrt", "square", "squeeze", "stack", "stop_gradient"),
        *("subtract", "tanh", "tensordot", "tile", "transpose", "unstack", "where", "zeros_like"),
    }
)


def tensorflow_function(name: str) -> Any:
    """Return a TensorFlow function by its public name; WeightsError if it is not allowed."""
    path = name.removeprefix("compat.v1.")
    namespace, _, rest = path.partition(".")
    found: Any = tf.compat.v1 if path != name else tf
    if namespace in NAMESPACES and rest.isidentifier():
        found = getattr(getattr(found, namespace), rest, None)
    else:
        found = getattr(found, path, None) if path in FUNCTIONS else None
    if found is None:
        raise WeightsError(f"it calls tf.{name}, which is not allowed in a model file")
    return found


class TFOpLambda(keras.layers.Layer):  # type: ignore[misc]
    """A TensorFlow function, as in Keras 2's functional models with x / 255 or tf.nn.relu(x)."""

    def __init__(
        self, function: str, args: list[Any], kwargs: dict[str, Any], **config: Any
    ) -> None:
        """Create from the function's public name and arguments; {"tensor": n} is the nth tensor."""
        super().__init__(**config)
        self._function = tensorflow_function(function)
        self._arguments = args, kwargs

    def call(self, tensors: list[Any]) -> Any:
        """Return the result of the function."""
        args, kwargs = (_fill(arguments, tensors) for arguments in self._arguments)
        return self._function(*args, **kwargs)


class SlicingOpLambda(TFOpLambda):
    """Indexing: x[..., ::-1]."""


def _fill(value: Any, tensors: list[Any]) -> Any:
    """Return the arguments with tensors and slices filled in."""
    if isinstance(value, dict):
        match value:
            case {"tensor": number}:
                return tensors[number]
            case {"class_name": "__ellipsis__"}:
                return ...
            case {"start": start, "stop": stop, "step": step}:
                return slice(*(_fill(part, tensors) for part in (start, stop, step)))
        return {key: _fill(item, tensors) for key, item in value.items()}
    return [_fill(item, tensors) for item in value] if isinstance(value, list | tuple) else value


class ThresholdedReLU(keras.layers.Layer):  # type: ignore[misc]
    """Returns the input where it is above `theta`, else 0."""

    def __init__(self, theta: float = 1.0, **config: Any) -> None:
        """Create with a threshold."""
        super().__init__(**config)
        self._theta = theta

    def call(self, inputs: Any) -> Any:
        """Return a tensor of the input's shape."""
        return inputs * tf.cast(inputs > self._theta, inputs.dtype)


def hard_sigmoid(x: Any) -> Any:
    """Return clip(0.2 x + 0.5, 0, 1), as in Keras 2; Keras 3 has a slope of 1/6."""
    return tf.clip_by_value(0.2 * x + 0.5, 0, 1)


LAYERS: Final = {cls.__name__: cls for cls in (TFOpLambda, SlicingOpLambda, ThresholdedReLU)}
FUNCTIONS_OF_KERAS_2: Final = {
    "hard_sigmoid": hard_sigmoid,
    "softmax_v2": keras.activations.softmax,  # the name of tf.nn.softmax in TensorFlow 2.0 to 2.2
}
