"""Training: seeded augmentation, a resumable run, a bar that also suits a log."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emostream.models import augment, ferplus, tensorflow_runtime
from emostream.models.augment import Targets
from emostream.models.batches import (
    VIEW_SHARE,
    batches,
    choose_views,
    draw_probabilities,
    label_shares,
    prefetched,
    targets,
)
from emostream.services.cli import main as cli
from emostream.shared.errors import ModelError, SourceError, WeightsError
from tests.lazy_modules import LazyModule
from tests.unit.conftest import Trained

if TYPE_CHECKING:
    import keras

    from emostream.models import checkpoint, train
else:
    keras = LazyModule("keras")
    checkpoint = LazyModule("emostream.models.checkpoint")
    train = LazyModule("emostream.models.train")

# Keras 3.15 saves weights through an interface that NumPy 2.4 calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def faces(two_kinds: ferplus.FerFaces) -> ferplus.FerFaces:
    return two_kinds


@pytest.mark.parametrize("step", [augment.augment, augment.relight, augment.erase])
def test_augmentation_repeats_by_seed_and_differs_without(
    step: object, faces: ferplus.FerFaces
) -> None:
    assert callable(step)
    first, again, other = (
        step(faces.images.copy(), np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert first.dtype == np.uint8
    assert first.shape == faces.images.shape
    assert (first == again).all()
    assert (first != other).any()


def test_augmentation_keeps_the_middle_in_place() -> None:
    dot = np.zeros((200, 49, 49), np.uint8)
    dot[:, 24, 24] = 255
    moved = augment.transforms(200, 49, np.random.default_rng(0)) @ np.array([24, 24, 1])
    assert np.abs(moved - 24).max() <= augment.SHIFT * 49 + 1e-9


def test_half_of_the_faces_are_mirrored() -> None:
    linear = augment.transforms(2000, 48, np.random.default_rng(0))[:, :, :2]
    assert (np.linalg.det(linear) < 0).mean() == pytest.approx(0.5, abs=0.05)


def test_mixup_mixes_faces_and_targets_alike() -> None:
    faces = np.zeros((64, 2, 2), np.uint8)
    faces[::2] = 200
    targets = {"one": np.zeros((64, 8), np.float32), "other": np.zeros((64, 2), np.float32)}
    targets["one"][::2, 0] = targets["one"][1::2, 1] = 1
    targets["other"][::2, 1] = 1
    mixed, soft = augment.mixup(faces, targets, 0.5, np.random.default_rng(0))
    again, _ = augment.mixup(faces, targets, 0.5, np.random.default_rng(0))
    assert (mixed == again).all()
    assert soft["one"].sum(axis=1) == pytest.approx(np.ones(64), abs=1e-6)
    assert mixed[:, 0, 0] / 200 == pytest.approx(soft["one"][:, 0], abs=0.01)
    assert soft["other"][:, 1] == pytest.approx(soft["one"][:, 0])
    assert ((soft["one"][:, 0] > 0.1) & (soft["one"][:, 0] < 0.9)).any()


def test_degrading_keeps_size_and_takes_detail() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    seen = [augment.degrade(noise, np.random.default_rng(seed)) for seed in range(20)]
    assert {face.shape for face in seen} == {(48, 48)}
    assert all((face != noise).any() for face in seen)


def test_batches_repeat_by_seed_whatever_the_threads_do(faces: ferplus.FerFaces) -> None:
    first, again, other = (
        list(batches(faces, targets(faces), 8, 0.2, (0, epoch))) for epoch in (1, 1, 2)
    )
    assert len(first) == 8
    assert all((a[0] == b[0]).all() for a, b in zip(first, again, strict=True))
    assert any((a[0] != b[0]).any() for a, b in zip(first, other, strict=True))


def test_work_ahead_comes_in_order_and_whole() -> None:
    assert list(prefetched(lambda number: number * number, 20)) == [n * n for n in range(20)]


def test_a_share_of_the_faces_is_shown_as_another_view(faces: ferplus.FerFaces) -> None:
    views = (np.full_like(faces.images, 1), np.full_like(faces.images, 2))
    many = ferplus.FerFaces(faces.images, faces.votes, faces.fer2013, views)
    rng = np.random.default_rng(0)
    pictures = np.concatenate([choose_views(many, rng) for _ in range(20)])
    kinds = [(pictures == kind).all(axis=(1, 2)).mean() for kind in (1, 2)]
    assert kinds == pytest.approx([VIEW_SHARE / 2, VIEW_SHARE / 2], abs=0.05)
    assert (choose_views(faces, rng) == faces.images).all()


@pytest.mark.evidence
def test_with_nothing_to_resume_a_training_says_that_it_starts(
    faces: ferplus.FerFaces, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = train.Recipe(epochs=0, batch=8)
    assert train.train(faces, faces, recipe, tmp_path, resume=True).epochs == 0
    assert f"nothing to resume in {tmp_path}: " in capsys.readouterr().out


@pytest.mark.evidence
def test_a_resumed_training_equals_an_uncut_one(
    faces: ferplus.FerFaces, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, _, whole = trained
    with monkeypatch.context() as patch:
        patch.setattr(train, "score_held_out", scores_that_stop_after(2))
        with pytest.raises(KeyboardInterrupt):
            train.train(faces, faces, recipe, tmp_path)
    resumed = train.train(faces, faces, recipe, tmp_path, resume=True)
    assert [row.epoch for row in resumed.rows] == [1, 2, 3, 4]
    assert resumed.rows[-1].loss == pytest.approx(whole.rows[-1].loss, rel=1e-5)
    for left, right in zip(resumed.average.weights, whole.average.weights, strict=True):
        assert np.array(left) == pytest.approx(np.array(right), abs=1e-5)


def scores_that_stop_after(epochs: int) -> object:
    honest, calls = train.score_held_out, 0

    def score(*arguments: object) -> tuple[float, float, float]:
        nonlocal calls
        calls += 1
        if calls > epochs:
            raise KeyboardInterrupt
        return honest(*arguments)  # type: ignore[arg-type]

    return score


@pytest.mark.evidence
def test_a_training_learns_and_keeps_its_curves(trained: Trained) -> None:
    _, out, state = trained
    assert state.rows[-1].loss < 0.9 * state.rows[0].loss
    assert checkpoint.load_history(out / "epoch-004" / checkpoint.HISTORY) == state.rows
    assert checkpoint.folders(out) == [out / "epoch-004"]


def test_the_rate_rises_and_falls_to_almost_nothing() -> None:
    recipe = train.Recipe(peak_rate=4e-3)
    rates = [train.learning_rate(recipe, share) for share in np.linspace(0, 1, 101)]
    assert max(rates) == pytest.approx(recipe.peak_rate)
    assert rates.index(max(rates)) == round(100 * recipe.rise)
    assert rates[0] == pytest.approx(0.04 * recipe.peak_rate)
    assert rates[-1] == pytest.approx(1e-3 * recipe.peak_rate)


@pytest.mark.evidence
def test_a_training_starts_from_another_ones_weights(trained: Trained, tmp_path: Path) -> None:
    recipe, out, state = trained
    fresh = train.initial_state(recipe, out / "epoch-004" / checkpoint.AVERAGE)
    for left, right in zip(fresh.model.weights, state.average.weights, strict=True):
        if "seed" not in right.path:
            assert np.array(left) == pytest.approx(np.array(right))
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="other")])
    other.save(tmp_path / "other.keras")
    with pytest.raises(WeightsError, match="no layer in common"):
        train.initial_state(recipe, tmp_path / "other.keras")


@pytest.mark.evidence
def test_the_other_optimizer_learns_too(
    faces: ferplus.FerFaces, trained: Trained, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(trained.recipe, optimizer="sgd", peak_rate=0.1)
    state = train.train(faces, faces, recipe, tmp_path)
    assert state.rows[-1].loss < 0.9 * state.rows[0].loss


def test_a_training_learns_from_the_labels_that_it_is_told(
    faces: ferplus.FerFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes = faces.votes.copy()
    votes[:, 2] = 5
    split = ferplus.FerFaces(faces.images, votes, faces.fer2013)
    learned: list[np.ndarray] = []

    def stop(state: object, training: object, wanted: Targets, *_: object) -> float:
        learned.append(wanted["ferplus"])
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "run_epoch", stop)
    monkeypatch.setattr(
        train, "initial_state", lambda recipe, init: checkpoint.TrainingState(None, None, [])
    )
    for recipe in (train.Recipe(batch=8), train.Recipe(batch=8, labels="majority")):
        with pytest.raises(KeyboardInterrupt):
            train.train(split, split, recipe, tmp_path)
    soft, majority = learned
    assert soft.max(axis=1) == pytest.approx(np.full(64, 2 / 3))
    assert majority.max(axis=1).tolist() == [1] * 64


def test_a_majority_is_one_label_and_soft_labels_are_shares() -> None:
    votes = np.array([[6, 4, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 4, 6]], np.uint8)
    two = ferplus.FerFaces(np.zeros((2, 48, 48), np.uint8), votes, np.zeros(2, np.uint8))
    assert targets(two)["ferplus"][0, :3].tolist() == pytest.approx([0.6, 0.4, 0])
    assert targets(two, "majority")["ferplus"][0, :3].tolist() == [1, 0, 0]
    assert not targets(two, "majority")["ferplus"][1].any()  # no face, says the majority


def test_too_few_faces_are_one_clear_error(
    tiny: str, faces: ferplus.FerFaces, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="batch of 8"):
        train.train(faces[:5], faces, train.Recipe(arch=tiny, batch=8), tmp_path)


def test_the_command_says_where_faces_are_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorflow_runtime, "use_threads", lambda threads: None)
    assert cli.main(["train", "--data", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: no training faces in ")


def test_views_that_do_not_fit_are_one_clear_error(faces: ferplus.FerFaces, tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", images=faces.images[:5])
    (tmp_path / "none.npz").write_text("no arrays")
    (tmp_path / "empty.npz").touch()
    np.save(tmp_path / "single.npy", faces.images)
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "few.npz").read_bytes()[:1000])
    reasons = {"few": r"holds uint8 \(5, 48, 48\)"}
    reasons |= dict.fromkeys(("none", "empty", "single", "cut"), "not an .npz file")
    for name, reason in reasons.items():
        with pytest.raises(SourceError, match=reason):
            ferplus.with_views(faces, [tmp_path / f"{name}.npz"])


def test_rare_labels_are_drawn_more_often(faces: ferplus.FerFaces) -> None:
    votes = np.repeat(np.eye(3, dtype=np.float32), (90, 9, 1), axis=0)
    shares = [label_shares(votes, draw_probabilities(votes, balance)) for balance in (0, 0.5, 1)]
    assert shares[0] == pytest.approx([0.9, 0.09, 0.01])
    assert shares[1] == pytest.approx(np.sqrt([0.9, 0.09, 0.01]) / np.sqrt([0.9, 0.09, 0.01]).sum())
    assert shares[2] == pytest.approx(np.full(3, 1 / 3))
    drawn = np.zeros(len(faces))
    drawn[[3, 5]] = 0.5
    wanted = {"row": np.arange(len(faces), dtype=np.float32)[:, None]}
    rows = [rows["row"] for _, rows in batches(faces, wanted, 8, 0, (0, 1), drawn)]
    assert set(np.concatenate(rows)[:, 0]) == {3, 5}


def test_a_face_without_a_label_is_drawn_as_the_mean_face() -> None:
    votes = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], np.float32)
    drawn = draw_probabilities(votes, 1)
    assert drawn[3] == pytest.approx(drawn[:3].mean())
