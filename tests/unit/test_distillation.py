"""Distillation: what teachers say of the faces, and how it joins the labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emostream.models import answer_files, ferplus
from emostream.models.augment import Targets
from emostream.shared.errors import SourceError, WeightsError
from tests.lazy_modules import LazyModule

if TYPE_CHECKING:
    import keras

    from emostream.models import answers, checkpoint, distillation, train
else:
    answers = LazyModule("emostream.models.answers")
    keras = LazyModule("keras")
    checkpoint = LazyModule("emostream.models.checkpoint")
    distillation = LazyModule("emostream.models.distillation")
    train = LazyModule("emostream.models.train")

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def teacher(path: Path, classes: int, bias: Sequence[float] | np.ndarray) -> Path:
    """Save a network that predicts class 0 for a face bright on the left, else by `bias`."""
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
    said = distillation.teacher_targets([path], bright_left)
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
    said = distillation.teacher_targets(paths, bright_left)
    assert said["ferplus"][0, 1] == pytest.approx(said["ferplus"][0, 2], rel=1e-4)
    assert said["fer2013"].shape == (3, 7)
    assert said["fer2013"].sum(axis=1) == pytest.approx(np.ones(3), rel=1e-5)


def test_stored_answers_teach_like_the_nets_that_gave_them(
    tmp_path: Path, bright_left: np.ndarray
) -> None:
    bias = np.zeros(8)
    bias[1] = 3
    net = teacher(tmp_path / "one.keras", 8, bias)
    images = np.concatenate([bright_left, 255 - bright_left[:1], bright_left[:1] // 2])
    stored = tmp_path / "answers.npz"
    answer_files.save_answers(stored, images, distillation.mean_answers([net], images))
    some = images[[4, 0, 3]]
    for temperature in (1.0, 2.0):
        said = distillation.teacher_targets([stored], some, temperature)
        wanted = distillation.teacher_targets([net], some, temperature)
        assert list(said) == ["ferplus"]
        assert said["ferplus"] == pytest.approx(wanted["ferplus"], abs=2e-3)
    softer = distillation.teacher_targets([stored], some, 2.0)["ferplus"]
    assert softer.max() < distillation.teacher_targets([stored], some)["ferplus"].max()


def test_stored_answers_that_do_not_fit_are_one_clear_error(
    tmp_path: Path, bright_left: np.ndarray
) -> None:
    stored = tmp_path / "answers.npz"
    answer_files.save_answers(stored, bright_left, {"ferplus": np.zeros((3, 8), np.float32)})
    with pytest.raises(WeightsError, match="holds no answer for 1 of 2 faces"):
        distillation.teacher_targets([stored], np.stack([bright_left[0], bright_left[0] // 3]))
    np.savez(stored, pictures=np.zeros(2, np.uint64), ferplus=np.zeros((2, 5)))
    with pytest.raises(WeightsError, match="contains no answers"):
        distillation.teacher_targets([stored], bright_left)
    for content in (b"", b"text", stored.read_bytes()[:100]):
        stored.write_bytes(content)
        with pytest.raises(SourceError, match=r"not an \.npz file"):
            distillation.teacher_targets([stored], bright_left)


def test_the_command_stores_answers_for_the_training_faces(
    tmp_path: Path, bright_left: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = ferplus.FerFaces(bright_left, np.zeros((3, 10), np.uint8), np.zeros(3, np.uint8))
    monkeypatch.setattr(ferplus, "load_faces", lambda split, folder: faces)
    net = teacher(tmp_path / "one.keras", 7, np.arange(7.0))
    out = tmp_path / "answers.npz"
    assert answers.main([str(net), "--out", str(out)]) == 0
    assert list(distillation.teacher_targets([out], bright_left)) == ["fer2013"]
    assert answers.main([str(tmp_path / "none.keras"), "--out", str(out)]) != 0


def test_labels_and_teachers_are_blended_and_unlabeled_faces_stay_out() -> None:
    hard: Targets = {
        "ferplus": np.array([[1, 0], [0, 0]], np.float32),
        "fer2013": np.array([[0, 1], [1, 0]], np.float32),
    }
    soft: Targets = {"ferplus": np.array([[0.2, 0.8], [0.5, 0.5]], np.float32)}
    mixed = distillation.blend_targets(hard, soft, 0.5)
    assert mixed["ferplus"] == pytest.approx(np.array([[0.6, 0.4], [0, 0]]))
    assert (mixed["fer2013"] == hard["fer2013"]).all()


def test_a_file_that_is_no_teacher_is_one_clear_error(
    tmp_path: Path, bright_left: np.ndarray
) -> None:
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(WeightsError, match="not a saved Keras model"):
        distillation.teacher_targets([tmp_path / "text.keras"], bright_left)
    with pytest.raises(WeightsError, match="none of the heads ferplus, fer2013"):
        distillation.teacher_targets(
            [teacher(tmp_path / "five.keras", 5, np.zeros(5))], bright_left
        )


@pytest.mark.evidence
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
    monkeypatch.setattr(
        train, "initial_state", lambda recipe, init: checkpoint.TrainingState(None, None, [])
    )
    recipe = train.Recipe(batch=2, distillation=0.25)
    with pytest.raises(KeyboardInterrupt):
        train.train(faces, faces, recipe, tmp_path / "out", teachers=[path])
    assert seen[0]["ferplus"][0, 1] == pytest.approx(0.75, abs=0.01)
    assert seen[0]["ferplus"][0, 5] == pytest.approx(0.25, abs=0.01)
