"""One model in every file format of the engines: a typical 7-class FER2013 network."""

import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from emostream import models
from emostream.models import engines, export
from emostream.models.synthetic_faces import synthetic_faces
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.stage import ClassifierStage
from emostream.shared.errors import MissingPackageError, WeightsError
from emostream.shared.messages import Emotion, Face, Faces, Message
from emostream.shared.shipped_files import CONFIGS

# Keras saves, and TensorFlow converts, through interfaces that NumPy and they call outdated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

FILES = {
    "model.h5": "keras",
    "model.keras": "keras",
    "model.tflite": "litert",
    "model.onnx": "onnxruntime",
}
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def original_net() -> Any:
    """Return what such notebooks build, narrower, trained a step so that it has an optimizer."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    net = keras.Sequential(
        [
            layers.Input((48, 48, 1)),
            layers.Conv2D(8, 3, padding="same", activation="elu", kernel_initializer="he_normal"),
            layers.BatchNormalization(),
            layers.Conv2D(8, 3, padding="same", activation="elu"),
            layers.MaxPooling2D((2, 2)),
            layers.Dropout(0.4),
            layers.SeparableConv2D(8, 3, activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dense(16, activation="elu"),
            layers.Dense(7, activation="softmax"),
        ]
    )
    net.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    net.fit(np.zeros((7, 48, 48, 1), np.float32), np.eye(7), verbose=0)
    return net


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(CONFIGS / "models" / "original.toml", folder / "model.toml")
    net = original_net()
    net.save(folder / "model.h5")
    net.save(folder / "model.keras")
    faces = synthetic_faces(20)
    export.export(folder / "model.h5", "litert", faces)
    export.export(folder / "model.h5", "onnxruntime", faces)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_the_same_net_loads_from_each_file_and_agrees(folder: Path, name: str) -> None:
    faces = synthetic_faces(40, seed=3)
    expected = models.load(folder / "model.keras").predict(faces)
    model = models.load(folder / name)
    given = model.predict(faces)
    assert (model.name, model.engine, model.labels) == ("model", FILES[name], LABELS)
    assert [path.name for path in model.files] == [name, "model.toml"]
    assert given.shape == (40, 7)
    assert given.dtype == np.float32
    assert given == pytest.approx(expected, abs=1e-3)
    assert expected.std(axis=0).max() > 0.01


@pytest.mark.parametrize("name", FILES)
def test_its_labels_reach_the_emotion_topic(folder: Path, name: str) -> None:
    model, crop = models.load(folder / name), synthetic_faces(1, seed=5)
    metrics = ClassifierMetrics(CollectorRegistry())
    header = Faces(
        stream="cam1", run="r1", seq=0, t=1, pts=0, marks={}, width=640, height=480, part=0,
        parts=1, crop=(64, 64), faces=(Face(7, (1.0, 2.0, 30.0, 40.0), 0.9, ()),),
    )  # fmt: skip
    answers = ClassifierStage(model, metrics, SmoothingRules(), 32)(
        [Message(header, crop.tobytes())]
    )
    emotion = answers[-1].header
    assert isinstance(emotion, Emotion)
    row = dict(zip(LABELS, model.predict(crop)[0].tolist(), strict=True))
    assert emotion.faces[0].probabilities == pytest.approx(row)
    assert emotion.faces[0].label == max(row, key=row.__getitem__)


@pytest.mark.parametrize("name", FILES)
def test_batches_of_any_size_and_faces_of_any_size_are_answered(folder: Path, name: str) -> None:
    model = models.load(folder / name)
    faces = synthetic_faces(70, seed=4)
    together = model.predict(faces)
    for count in (0, 1, 5, 33):
        assert model.predict(faces[:count]) == pytest.approx(together[:count], abs=1e-5)
    mixed = [faces[0], np.repeat(faces[1][..., None], 3, axis=2), faces[2][:30, :50]]
    assert model.predict(mixed)[:2] == pytest.approx(together[:2], abs=1e-5)


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_a_second_model_can_be_loaded_while_the_first_one_answers(
    folder: Path, engine: str
) -> None:
    first, faces = models.load(folder / "model.keras", engine=engine), synthetic_faces(8)
    expected, loaded = first.predict(faces), []
    thread = Thread(target=lambda: loaded.append(models.load(folder / "model.h5", engine=engine)))
    thread.start()
    while thread.is_alive():
        assert np.array_equal(first.predict(faces), expected)
    assert loaded[0].predict(faces) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["model.tflite", "model.onnx"])
def test_other_engines_start_without_tensorflow(folder: Path, name: str) -> None:
    code = (
        "import sys, models, numpy as np; model = models.load(sys.argv[1], intra_op=1);"
        "model.warm_up(); print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / name)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_the_engine_chooses_among_the_files_of_a_path(folder: Path, tmp_path: Path) -> None:
    assert models.load(folder / "model.h5", engine="litert").files[0].name == "model.tflite"
    shutil.copy(folder / "model.keras", tmp_path)
    shutil.copy(folder / "model.toml", tmp_path)
    with pytest.raises(WeightsError, match=r"model\.onnx.*emostream models export .*model\.keras"):
        models.load(tmp_path / "model.keras", engine="onnxruntime")


def test_an_engine_that_is_not_installed_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError, match=r"engine onnxruntime.*'emostream\[onnxruntime\]'"
    ):
        models.load(folder / "model.onnx")


def test_an_unknown_engine_is_refused_with_the_known_ones(folder: Path) -> None:
    with pytest.raises(WeightsError, match="auto, litert, onnxruntime, keras"):
        models.load(folder / "model.onnx", engine="tensorrt")


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_one_line(folder: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(folder / "model.toml", tmp_path)
    (tmp_path / name).write_bytes(b"rubbish" * 100)
    with pytest.raises(WeightsError, match=f"{name} is not a (saved|readable)") as caught:
        models.load(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_model_without_its_toml_says_what_to_write(
    folder: Path, tmp_path: Path, name: str
) -> None:
    shutil.copy(folder / name, tmp_path)
    with pytest.raises(WeightsError) as caught:
        models.load(tmp_path / name)
    path, toml = tmp_path / name, tmp_path / "model.toml"
    assert str(caught.value) == (
        f"no model.toml next to {path}, which takes 48 x 48 x 1 and gives 7 outputs:"
        f" write one with emostream models info {path} --template > {toml} and fill it in"
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            '"surprise"]',
            '"surprise", "contempt"]',
            "7 outputs, its TOML 8 labels: name 7 in model.toml",
        ),
        ("[48, 48]", "[64, 48]", "48 x 48 x 1, its TOML says 64 x 48 x 1"),
        ("channels = 1", "channels = 3", "its TOML says 48 x 48 x 3"),
        ('"nhwc"', '"nchw"', "its TOML says 1 x 48 x 48"),
        ("size = [48, 48]", "", "its TOML says any x any x 1"),
    ],
)
def test_a_toml_that_contradicts_the_model_is_refused(
    folder: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    shutil.copy(folder / "model.onnx", tmp_path)
    text = (folder / "model.toml").read_text("utf-8")
    (tmp_path / "model.toml").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(WeightsError, match=words):
        models.load(tmp_path / "model.onnx")
