"""Models that Keras 2 saved as .h5: written by itself, and written here as it wrote them."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from emostream import models
from emostream.models.engines import keras as keras_engine
from emostream.models.engines import legacy_nodes
from emostream.models.synthetic_faces import synthetic_faces
from emostream.shared.errors import WeightsError
from emostream.shared.shipped_files import CONFIGS
from tests.lazy_modules import LazyModule

if TYPE_CHECKING:
    from emostream.models.engines import legacy_layers
else:
    legacy_layers = LazyModule("emostream.models.engines.legacy_layers")

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
    shutil.copy(CONFIGS / "models" / "original.toml", path.with_suffix(".toml"))
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


SAVED = Path(__file__).parents[1] / "keras2" / "models.zip"  # by write_models.py next to it
PICTURES = np.random.default_rng(1).integers(0, 256, (2, 24, 24, 3)).astype(np.float32)
NETS = [name.removesuffix(".h5") for name in zipfile.ZipFile(SAVED).namelist() if ".h5" in name]


@pytest.mark.parametrize("name", sorted({*NETS} - {"lambda_layer"}))
def test_a_net_gives_what_keras_2_gave(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(SAVED) as saved:
        path = Path(saved.extract(f"{name}.h5", tmp_path))
        expected = json.loads(saved.read("probabilities.json"))[name]
    engine = keras_engine.load_engine(path, None, 1)
    assert engine(PICTURES) == pytest.approx(np.array(expected), abs=1e-5)


def test_a_lambda_layer_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(SAVED) as saved:
        path = Path(saved.extract("lambda_layer.h5", tmp_path))
    with pytest.raises(WeightsError, match=r"a Lambda layer.*export the model to \.onnx") as caught:
        keras_engine.load_keras_model(path)
    assert "\n" not in str(caught.value)


def nested_net(training: bool | None) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    given = keras.Input((24, 24, 3))
    x = layers.DepthwiseConv2D(3)(layers.Conv2D(4, 3, use_bias=False)(given))
    x = layers.SeparableConv2D(4, 3)(layers.BatchNormalization()(x))
    inner = keras.Model(given, x)
    given = keras.Input((24, 24, 3))
    x = inner(keras.Sequential([layers.RandomFlip()])(given / 255), training=training)
    return keras.Model(given, layers.Dense(7, "softmax")(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("class_name", ["Functional", "Model"])
@pytest.mark.parametrize("training", [None, False])
def test_keys_of_keras_2_in_a_nested_net_of_keras_3_are_understood(
    tmp_path: Path, class_name: str, training: bool | None
) -> None:
    net, path = nested_net(training), tmp_path / "net.h5"
    net.save(path)

    def age(value: Any) -> Any:
        if isinstance(value, list):
            return [age(item) for item in value]
        if not isinstance(value, dict):
            return value
        new = {key: age(item) for key, item in value.items()}
        if new.get("class_name") == "Functional":
            new["class_name"] = class_name
        if new.get("class_name") in ("DepthwiseConv2D", "SeparableConv2D"):
            new["config"]["groups"] = 1
        if "batch_shape" in new:
            new["batch_input_shape"] = new.pop("batch_shape")
        return new

    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(age(json.loads(file.attrs["model_config"])))
    given = keras_engine.load_engine(path, None, 1)(PICTURES)
    assert given == pytest.approx(net.predict(PICTURES, verbose=0), abs=1e-6)


def test_a_normalization_in_a_nested_net_of_keras_3_is_applied(tmp_path: Path) -> None:
    import keras
    from keras import layers

    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(0).uniform(0, 255, (9, 24, 24, 3)))
    given = keras.Input((24, 24, 3))
    inner = keras.Model(given, layers.Conv2D(4, 3)(norm(given)))
    given = keras.Input((24, 24, 3))
    x = layers.GlobalAveragePooling2D()(inner(given))
    net = keras.Model(given, layers.Dense(7, "softmax")(x))
    net.save(tmp_path / "net.h5")
    loaded = keras_engine.load_engine(tmp_path / "net.h5", None, 1)(PICTURES)
    assert loaded == pytest.approx(net.predict(PICTURES, verbose=0), abs=1e-6)


@pytest.mark.parametrize("name", ["io.read_file", "py_function", "math.nothing", "nn", "math.a.b"])
def test_a_function_that_does_not_compute_is_refused(name: str) -> None:
    with pytest.raises(WeightsError, match=f"tf.{name}"):
        legacy_layers.tensorflow_function(name)


def test_weights_of_a_layer_that_the_model_lacks_are_refused(tmp_path: Path, modern: Path) -> None:
    path = tmp_path / "model.h5"
    shutil.copy(modern, path)
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]
        group.attrs["layer_names"] = [f"{name}_other" for name in group.attrs["layer_names"]]
    with pytest.raises(WeightsError, match=r"model\.h5 is not a saved Keras model: .*conv_other"):
        keras_engine.load_keras_model(path)


def test_a_layer_that_keras_3_lacks_is_named(modern: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    shutil.copy(modern, path)
    with h5py.File(path, "r+") as file:
        text = str(file.attrs["model_config"]).replace('"Conv2D"', '"LocallyConnected2D"')
        file.attrs["model_config"] = text
    with pytest.raises(
        WeightsError, match="layer 'LocallyConnected2D', which Keras 3 does not have"
    ):
        keras_engine.load_keras_model(path)


def test_a_slice_and_a_reference_are_told_apart() -> None:
    reference = ["conv", 0, 0]
    assert legacy_nodes.single([reference]) == reference
    assert legacy_nodes.single([1, 2, 3]) == [1, 2, 3]
    assert legacy_nodes.single([reference, reference]) == [reference, reference]


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
