"""The TOML to fill in for a model that has none."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emostream import models
from emostream.models import export
from emostream.models.engines import Shape, Sizes, load_engine
from emostream.models.engines.device import Device
from emostream.models.spec import load_spec
from emostream.models.spec_template import spec_template
from emostream.models.synthetic_faces import synthetic_faces
from emostream.shared.errors import WeightsError

# Keras saves, and TensorFlow converts, through interfaces that NumPy and they call outdated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of five outputs for color, in every file that an engine runs."""
    import keras
    from keras import layers

    folder = tmp_path_factory.mktemp("models")
    given = keras.Input((32, 40, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, strides=2)(given))
    net = keras.Model(given, layers.Dense(5, activation="softmax")(x))
    net.save(folder / "net.keras")
    net.save(folder / "net.h5")
    text = 'labels = ["a", "b", "c", "d", "e"]\nscaling = "0..1"\nsize = [32, 40]\nchannels = 3\n'
    (folder / "net.toml").write_text(text, "utf-8")
    for engine in ("litert", "onnxruntime"):
        export.export(folder / "net.keras", engine, synthetic_faces(3))
    (folder / "net.toml").unlink()
    return folder


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net.tflite", "net.onnx"])
def test_a_template_says_what_the_file_says_and_loads_once_filled_in(
    folder: Path, name: str
) -> None:
    path, toml = folder / name, folder / "net.toml"
    text = spec_template(path, load_engine(path, None, 1))
    toml.write_text(text, "utf-8")
    assert tomllib.loads(text) == {
        "labels": ["label_0", "label_1", "label_2", "label_3", "label_4"],
        "scaling": "",
        "size": [32, 40],
        "channels": 3,
        "colour": "rgb",
        "layout": "nhwc",
        "output": "probabilities",
    }
    with pytest.raises(WeightsError, match=r"net\.toml: scaling: .*write one of model, 0\.\.1"):
        models.load(path)
    text = text.replace('scaling = ""', 'scaling = "-1..1"').replace("label_4", "calm")
    toml.write_text(text, "utf-8")
    assert models.load(path).labels == ("label_0", "label_1", "label_2", "label_3", "calm")
    toml.unlink()


class Toy:
    """An engine that answers each face with the same rows."""

    name, runtime = "toy", "NumPy"
    device: Device = "cpu"
    sizes: Sizes = ()
    failures: tuple[type[Exception], ...] = (RuntimeError,)

    def __init__(self, shape: Shape, row: Any, dtype: type = np.float32) -> None:
        self.shape, self.row, self.dtype = shape, np.array(row, np.float32), np.dtype(dtype)
        self.outputs: int | None = None
        self.given: list[NDArray[Any]] = []

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        self.given.append(batch)
        return np.stack([self.row for _ in batch])


@pytest.mark.parametrize(
    ("shape", "expected", "given"),
    [
        ((None, 48, 64), {"layout": "nhw", "channels": 1, "size": [48, 64]}, (2, 48, 64)),
        ((None, 48, 64, 1), {"layout": "nhwc", "channels": 1, "size": [48, 64]}, (2, 48, 64, 1)),
        ((8, 3, 48, 64), {"layout": "nchw", "channels": 3, "size": [48, 64]}, (8, 3, 48, 64)),
        ((None, 3, None, None), {"layout": "nchw", "channels": 3}, (2, 3, 64, 64)),
        ((None, None, None, 3), {"layout": "nhwc", "channels": 3}, (2, 64, 64, 3)),
        ((None, 1, 1, 3), {"layout": "nhwc", "channels": 3, "size": [1, 1]}, (2, 1, 1, 3)),
    ],
)
def test_layouts_are_told_apart(
    tmp_path: Path, shape: Shape, expected: dict[str, Any], given: tuple[int, ...]
) -> None:
    toy = Toy(shape, [0.25, 0.75])
    text = spec_template(tmp_path / "toy.onnx", toy)
    assert toy.given[0].shape == given
    told = tomllib.loads(text)
    assert {key: told[key] for key in told if key in ("layout", "channels", "size")} == expected
    (tmp_path / "toy.toml").write_text(text.replace('scaling = ""', 'scaling = "0..1"'), "utf-8")
    assert load_spec(tmp_path / "toy.toml").shape[1:] == shape[1:]


def test_rows_that_do_not_sum_to_1_are_logits(tmp_path: Path) -> None:
    told = tomllib.loads(spec_template(tmp_path / "toy.onnx", Toy((None, 8, 8), [3, -1, 0.5])))
    assert told["output"] == "logits"
    assert len(told["labels"]) == 3


def test_a_model_that_takes_bytes_scales_them_itself(tmp_path: Path) -> None:
    toy = Toy((None, 8, 8), [0.5, 0.5], np.uint8)
    assert tomllib.loads(spec_template(tmp_path / "toy.onnx", toy))["scaling"] == "model"
    assert toy.given[0].max() > 1


@pytest.mark.parametrize(
    ("shape", "row", "words"),
    [
        ((None, 2304), [0.5, 0.5], "takes 2304, which is not a gray or color picture"),
        ((None, 48, 48, 4), [0.5, 0.5], "takes 48 x 48 x 4, which is not a gray or color picture"),
        ((None, 48, 48, 1), [0.5], "gives 1 for a face"),
        ((None, 48, 48, 1), [[0.5, 0.5]], "gives 1 x 2 for a face"),
    ],
)
def test_a_model_that_no_toml_makes_serve_is_refused(
    tmp_path: Path, shape: Shape, row: Any, words: str
) -> None:
    with pytest.raises(WeightsError, match=words):
        spec_template(tmp_path / "toy.onnx", Toy(shape, row))


def test_a_model_that_fails_is_refused_with_its_reason(tmp_path: Path) -> None:
    class Failing(Toy):
        def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
            raise RuntimeError("no kernel\nfor this")

    with pytest.raises(WeightsError, match=r"toy\.onnx does not run: no kernel$"):
        spec_template(tmp_path / "toy.onnx", Failing((None, 8, 8), [0.5, 0.5]))
