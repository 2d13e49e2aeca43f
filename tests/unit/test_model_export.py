"""Saving with half the bytes, and exports that are kept only if they agree."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emostream import models
from emostream.models import export, spec, weights
from emostream.models.spec import load_spec
from emostream.models.synthetic_faces import synthetic_faces
from emostream.shared.errors import ModelError, WeightsError
from tests.builders import toml_without_prior

# Keras saves, and TensorFlow converts, through interfaces that NumPy and they call outdated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

FACES = synthetic_faces(60)


def build(dtype: str = "float32", outputs: int = 1) -> Any:
    """Return a small network with the preprocessing of the shipped ones, for faces of any size."""
    import keras
    from keras import layers

    from emostream.models.alexnet import preprocess

    keras.utils.set_random_seed(0)
    faces = keras.Input((None, None), dtype="uint8", name="faces")
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, dtype=dtype)(preprocess(faces, 48))
    x = layers.BatchNormalization(dtype=dtype)(x)
    x = layers.Flatten(dtype=dtype)(layers.ReLU(dtype=dtype)(x))
    x = layers.Dense(32, activation="relu", dtype=dtype)(layers.Dropout(0.5, dtype=dtype)(x))
    heads = [layers.Dense(8, activation="softmax", dtype="float32")(x) for _ in range(outputs)]
    return keras.Model(faces, heads if outputs > 1 else heads[0])


@pytest.fixture(scope="module")
def net() -> Any:
    return build()


@pytest.fixture(scope="module")
def saved(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "net.keras"
    weights.save(net, path)
    path.with_suffix(".toml").write_text(toml_without_prior(), "utf-8")
    return path


def test_a_saved_model_takes_half_the_bytes_and_plain_keras_loads_it(net: Any, saved: Path) -> None:
    import keras

    assert saved.stat().st_size < 2.4 * net.count_params()
    loaded = keras.saving.load_model(saved)
    assert {variable.dtype for variable in loaded.trainable_variables} == {"float32"}
    assert np.array(loaded(FACES)) == pytest.approx(np.array(net(FACES)), abs=1e-3)
    assert [path.name for path in saved.parent.glob("*.keras")] == ["net.keras"]
    weights.verify(saved)
    assert weights.checksums(saved) == {"net.keras": weights.sha256(saved)}


def test_a_net_in_memory_answers_like_its_file(net: Any, saved: Path) -> None:
    model = models.Classifier(net, "net")
    assert (model.engine, model.sha256, model.files) == ("keras", "", [])
    assert model.predict(FACES) == pytest.approx(models.load(saved).predict(FACES), abs=1e-3)


def test_what_was_trained_in_mixed_precision_is_saved_to_compute_in_float32(
    net: Any, tmp_path: Path
) -> None:
    mixed = build("mixed_bfloat16")
    mixed.set_weights(net.get_weights())
    path = tmp_path / "mixed.keras"
    weights.save(mixed, path)
    path.with_suffix(".toml").write_text(toml_without_prior(), "utf-8")
    given = models.load(path).predict(FACES)
    assert given == pytest.approx(np.array(net(FACES)), abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "precision", "name", "share"),
    [
        pytest.param("litert", None, "net.tflite", 0.6, marks=pytest.mark.evidence),
        ("litert", "int8", "net-int8.tflite", 0.35),
        pytest.param("litert", "float32", "net-float32.tflite", 1.1, marks=pytest.mark.evidence),
        ("onnxruntime", None, "net.onnx", 1.1),
    ],
)
def test_an_export_agrees_for_faces_of_any_size(
    net: Any, saved: Path, engine: str, precision: str | None, name: str, share: float
) -> None:
    told: list[str] = []
    done = export.export(saved, engine, FACES, precision, on_step=told.append)
    assert done.path == saved.with_name(name)
    assert done.path.stat().st_size < share * 4 * net.count_params()
    assert done.difference < (0.05 if precision == "int8" else 1e-3)
    assert told == [
        f"converting net.keras to {engine}, {precision or name_of(engine)}",
        f"comparing {name} with net.keras on 60 faces",
    ]
    original, other = models.load(saved), models.load(done.path)
    assert other.engine == engine
    assert done.path.name in weights.checksums(done.path)
    for faces in (FACES[:3, :31, :40], synthetic_faces(2).repeat(3, axis=1).repeat(3, axis=2)):
        assert other.predict(faces) == pytest.approx(original.predict(faces), abs=0.05)


def name_of(engine: str) -> str:
    return next(iter(export.PRECISIONS[engine]))


def test_an_export_whose_toml_is_there_gets_the_shares_of_its_model(tmp_path: Path) -> None:
    text = toml_without_prior()
    source, out = tmp_path / "net.keras", tmp_path / "net-int8.tflite"
    source.with_suffix(".toml").write_text(text, "utf-8")
    kept = '# mine\nprior = "uniform"\n' + text.replace("neutral = 0.29797", "neutral = 0.29997")
    out.with_suffix(".toml").write_text(kept, "utf-8")
    export.write_spec(source, out)
    written = load_spec(out.with_suffix(".toml"))
    assert written.trained == pytest.approx(load_spec(source.with_suffix(".toml")).trained)
    assert written.prior == "uniform"
    assert out.with_suffix(".toml").read_text("utf-8").startswith("# mine\n")
    before = out.with_suffix(".toml").read_text("utf-8")
    export.write_spec(source, out)
    assert out.with_suffix(".toml").read_text("utf-8") == before


def test_an_export_that_disagrees_is_not_kept(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_DIFFERENCE", -1.0)
    out = tmp_path / "other.tflite"
    with pytest.raises(ModelError, match=r"other\.tflite differs from net\.keras by"):
        export.export(saved, "litert", FACES, out=out)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_gives_no_numbers_is_not_kept(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = export.Exported(saved, float("nan"), 0.0)
    monkeypatch.setattr(export, "compare", lambda *given: other)
    with pytest.raises(ModelError, match="differs"):
        export.export(saved, "litert", FACES, out=tmp_path / "other.tflite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("engine", "precision", "out", "words"),
    [
        ("onnxruntime", "int8", None, "no int8 for onnxruntime: choose float32"),
        ("keras", None, None, "choose litert or onnxruntime"),
        ("litert", None, "net.onnx", r"ends in \.tflite"),
        ("litert", None, "missing/net.tflite", "cannot be written: No such file"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    saved: Path, tmp_path: Path, engine: str, precision: str | None, out: str | None, words: str
) -> None:
    with pytest.raises(ModelError, match=words):
        export.export(saved, engine, FACES, precision, tmp_path / out if out else None)


def test_a_model_in_mixed_precision_is_not_exported(tmp_path: Path) -> None:
    path = tmp_path / "mixed.keras"
    build("mixed_bfloat16").save(path)
    path.with_suffix(".toml").write_text(toml_without_prior(), "utf-8")
    with pytest.raises(ModelError, match="computes in bfloat16: save it in float32 first"):
        export.export(path, "litert", FACES)


def test_a_model_without_a_toml_is_not_exported(saved: Path, tmp_path: Path) -> None:
    shutil.copy(saved, tmp_path)
    with pytest.raises(
        WeightsError, match=r"gives 8 outputs: .* --template > .*net\.toml"
    ) as caught:
        export.export(tmp_path / saved.name, "litert", FACES)
    assert str(spec.spec_path(tmp_path / saved.name).name) in str(caught.value)


def test_two_heads_are_refused(tmp_path: Path) -> None:
    build(outputs=2).save(tmp_path / "both.keras")
    with pytest.raises(WeightsError, match=r"outputs .*one of each"):
        models.load(tmp_path / "both.keras")


def test_drawn_faces_are_the_same_each_time() -> None:
    assert np.array_equal(FACES, synthetic_faces(60))
    assert len({face.tobytes() for face in FACES}) == 60
