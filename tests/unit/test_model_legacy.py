"""Models that Keras 2 saved as .h5, written here as it wrote them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from emostream import models
from emostream.models import spec
from emostream.models.synthetic_faces import synthetic_faces
from emostream.shared.errors import WeightsError

# Keras 3.15 saves weights through an interface that NumPy 2.4 calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = [None, 48, 48, 1]
OPTIMIZER = {"class_name": "Adam", "config": {"lr": 0.001, "decay": 0.0, "epsilon": 1e-7}}


@pytest.fixture(scope="module")
def modern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras
    from keras import layers

    net = keras.Sequential(
        [
            layers.Input(tuple(SHAPE[1:])),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.SeparableConv2D(4, 3, name="separable"),
            layers.DepthwiseConv2D(3, strides=4, name="depthwise"),
            layers.Flatten(name="flatten"),
            layers.Dense(7, activation="softmax", name="dense"),
        ]
    )
    path = tmp_path_factory.mktemp("legacy") / "model.h5"
    net.save(path)
    shutil.copy(spec.ORIGINAL_SPEC, path.with_suffix(".toml"))
    return path


def old(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the layers as Keras 2 wrote them, without the input."""
    layers: list[dict[str, Any]] = config["config"]["layers"][1:]
    for layer in layers:
        layer["config"]["dtype"] = "float32"
        for key, value in layer["config"].items():
            if isinstance(value, dict):
                layer["config"][key] = {name: value[name] for name in ("class_name", "config")}
        if "Conv2D" in layer["class_name"]:
            layer["config"]["groups"] = 1
    layers[0]["config"]["batch_input_shape"] = SHAPE
    return layers


def as_keras_2_2(config: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": old(config)}}


def as_keras_2_1(config: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": old(config)}


def as_tf_keras(config: dict[str, Any]) -> dict[str, Any]:
    entry = {"batch_input_shape": SHAPE, "dtype": "float32", "sparse": False, "ragged": False}
    first = {"class_name": "InputLayer", "config": {**entry, "name": "conv_input"}}
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [first, *old(config)]}}


@pytest.mark.parametrize("form", [as_keras_2_1, as_keras_2_2, as_tf_keras])
def test_a_file_of_keras_2_loads_and_answers_alike(
    modern: Path, tmp_path: Path, form: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    path = tmp_path / "model.h5"
    shutil.copy(modern, path)
    shutil.copy(modern.with_suffix(".toml"), tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(form(json.loads(file.attrs["model_config"])))
        file.attrs["training_config"] = json.dumps({"optimizer_config": OPTIMIZER, "loss": "mse"})
        file.attrs["keras_version"] = b"2.2.4"
    before = path.read_bytes()
    faces = synthetic_faces(5)
    expected = models.load(modern).predict(faces)
    assert np.array_equal(models.load(path).predict(faces), expected)
    assert path.read_bytes() == before


def test_a_file_with_weights_alone_is_refused(modern: Path, tmp_path: Path) -> None:
    import keras

    keras.saving.load_model(modern, compile=False).save_weights(tmp_path / "net.weights.h5")
    with pytest.raises(WeightsError, match="No model config found"):
        models.load(tmp_path / "net.weights.h5")


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    import keras
    from keras import layers

    net = keras.Sequential([layers.Input((4,)), layers.Lambda(lambda x: x), layers.Dense(2)])
    net.save(tmp_path / "net.keras")
    with pytest.raises(WeightsError, match="Lambda"):
        models.load(tmp_path / "net.keras")
