"""Distillation: what teachers say of the faces, and how it joins the labels."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest

from emostream.models import ferplus, train
from emostream.models.augment import Targets
from emostream.models.checkpoint import TrainingState
from emostream.models.distillation import blend_targets, teacher_targets
from emostream.shared.errors import WeightsError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def teacher(path: Path, classes: int, bias: Sequence[float] | np.ndarray) -> Path:
    """Save a net that says the first class of a face bright on the left, else what `bias` says."""
    faces = keras.Input((None, None), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(faces)
    halves = keras.ops.stack(
        [keras.ops.mean(x[:, :, :24], axis=(1, 2)), keras.ops.mean(x[:, :, 24:], axis=(1, 2))], 1
    )
    logits = keras.layers.Dense(classes, name="logits")
    net = keras.Model(faces, keras.layers.Softmax()(logits(halves)))
    kernel = np.zeros((2, classes), np.float32)
    kernel[0, 0] = 4
    logits.set_weights([kernel, np.array(bias, np.float32)])
    net.save(path)
    return path


@pytest.fixture
def bright_left() -> np.ndarray:
    images = np.zeros((3, 48, 48), np.uint8)
    images[:, :, :24] = 255
    return images


def test_a_teacher_is_asked_about_a_face_and_its_mirror_image(
    tmp_path: Path, bright_left: np.ndarray
) -> None:
    path = teacher(tmp_path / "one.keras", 8, np.zeros(8))
    plain = keras.saving.load_model(path)(bright_left)
    said = teacher_targets([path], bright_left)
    assert list(said) == ["ferplus"]
    assert said["ferplus"].shape == (3, 8)
    # The logits are 4 and 0 for the first class: their mean is 2.
    assert said["ferplus"][0, 0] == pytest.approx(np.exp(2) / (np.exp(2) + 7), rel=1e-4)
    assert said["ferplus"][0, 0] < float(plain[0, 0])


def test_teachers_are_averaged_and_each_brings_the_heads_it_has(
    tmp_path: Path, bright_left: np.ndarray
) -> None:
    left, right = np.zeros(8), np.zeros(8)
    left[1], right[2] = 3, 3
    paths = [
        teacher(tmp_path / "left.keras", 8, left),
        teacher(tmp_path / "right.keras", 8, right),
        teacher(tmp_path / "other.keras", 7, np.zeros(7)),
    ]
    said = teacher_targets(paths, bright_left)
    assert said["ferplus"][0, 1] == pytest.approx(said["ferplus"][0, 2], rel=1e-4)
    assert said["fer2013"].shape == (3, 7)
    assert said["fer2013"].sum(axis=1) == pytest.approx(np.ones(3), rel=1e-5)


def test_labels_and_teachers_are_blended_and_unlabelled_faces_stay_out() -> None:
    hard: Targets = {
        "ferplus": np.array([[1, 0], [0, 0]], np.float32),
        "fer2013": np.array([[0, 1], [1, 0]], np.float32),
    }
    soft: Targets = {"ferplus": np.array([[0.2, 0.8], [0.5, 0.5]], np.float32)}
    mixed = blend_targets(hard, soft, 0.5)
    assert mixed["ferplus"] == pytest.approx(np.array([[0.6, 0.4], [0, 0]]))
    assert (mixed["fer2013"] == hard["fer2013"]).all()


def test_a_file_that_is_no_teacher_is_one_clear_error(
    tmp_path: Path, bright_left: np.ndarray
) -> None:
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(WeightsError, match="no saved Keras model"):
        teacher_targets([tmp_path / "text.keras"], bright_left)
    with pytest.raises(WeightsError, match="none of the heads ferplus, fer2013"):
        teacher_targets([teacher(tmp_path / "five.keras", 5, np.zeros(5))], bright_left)


def test_a_training_learns_from_its_teachers(
    tmp_path: Path, bright_left: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    bias = np.zeros(8)
    bias[5] = 9
    path = teacher(tmp_path / "one.keras", 8, bias)
    votes = np.zeros((3, 10), np.uint8)
    votes[:, 1] = 10
    faces = ferplus.FerFaces(bright_left, votes, np.zeros(3, np.uint8))
    seen: list[Targets] = []

    def stop(state: object, learn: object, wanted: Targets, *_: object) -> float:
        seen.append(wanted)
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "run_epoch", stop)
    monkeypatch.setattr(train, "initial_state", lambda recipe, init: TrainingState(None, None, []))
    recipe = train.Recipe(batch=2, distillation=0.25)
    with pytest.raises(KeyboardInterrupt):
        train.train(faces, faces, recipe, tmp_path / "out", teachers=[path])
    assert seen[0]["ferplus"][0, 1] == pytest.approx(0.75, abs=0.01)
    assert seen[0]["ferplus"][0, 5] == pytest.approx(0.25, abs=0.01)
