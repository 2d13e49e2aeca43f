"""Calibration: by hand, folded into the weights, and the shares in training next to them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emostream.models import ferplus
from emostream.models.evaluation import scores
from emostream.models.labels import FER2013, LABELS
from emostream.models.spec import load_spec
from tests.builders import toml_without_prior
from tests.lazy_modules import LazyModule

if TYPE_CHECKING:
    import keras

    from emostream.models import alexnet, calibrate
else:
    keras = LazyModule("keras")
    alexnet = LazyModule("emostream.models.alexnet")
    calibrate = LazyModule("emostream.models.calibrate")

# Keras 3.15 saves weights through an interface that NumPy 2.4 calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def net(tiny: str) -> Any:
    return alexnet.build(tiny)


@pytest.fixture
def faces() -> ferplus.FerFaces:
    rng = np.random.default_rng(0)
    votes = np.zeros((200, 10), np.uint8)
    votes[range(200), rng.integers(0, 8, 200)] = 10
    images = rng.integers(0, 256, (200, 48, 48), np.uint8)
    return ferplus.FerFaces(images, votes, rng.integers(0, 7, 200).astype(np.uint8))


def test_the_temperature_of_honest_probabilities_is_found_again() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 8))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(8, p=row) for row in honest])
    overconfident = calibrate.scale_temperature(honest.astype(np.float32), 0.5)
    found = calibrate.fit_temperature(overconfident, labels)
    assert found == pytest.approx(2, rel=0.05)
    before = scores.calibration_error(overconfident, labels)
    assert (
        scores.calibration_error(calibrate.scale_temperature(overconfident, found), labels)
        < before / 3
    )


def test_the_temperature_is_that_of_the_faces_shares_and_not_of_the_trainings() -> None:
    rng = np.random.default_rng(0)
    natural, drawn = np.array([0.9, 0.1]), np.array([0.5, 0.5])
    labels = rng.choice(2, 6000, p=natural)
    lead = rng.normal(1.5 * np.where(labels == 1, 1, -1), 1.0)
    powers = drawn * np.stack([np.exp(-1.5 * lead), np.exp(1.5 * lead)], axis=1)
    honest = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    assert calibrate.fit_temperature(honest, labels, natural / drawn) == pytest.approx(1, rel=0.06)


def test_the_shares_are_those_that_a_training_draws() -> None:
    votes = np.zeros((100, 10), np.uint8)
    labels = np.repeat(np.arange(8), [64, 16, 4, 4, 4, 4, 2, 2])
    votes[range(100), labels] = 10
    faces = ferplus.FerFaces(
        np.zeros((100, 48, 48), np.uint8), votes, (labels % 7).astype(np.uint8)
    )
    once, natural = calibrate.shares_of_labels("ferplus", faces, 0)
    assert once == pytest.approx(natural)
    assert natural["neutral"] == pytest.approx(0.64)
    balanced, _ = calibrate.shares_of_labels("ferplus", faces, 0.5)
    assert balanced["neutral"] / balanced["happiness"] == pytest.approx(2)
    equal, _ = calibrate.shares_of_labels("ferplus", faces, 1)
    assert equal == pytest.approx(dict.fromkeys(LABELS, 1 / 8))


def test_the_temperature_is_folded_into_one_heads_weights(
    net: Any, faces: ferplus.FerFaces
) -> None:
    one, other = alexnet.single_head(net, "ferplus"), alexnet.single_head(net, "fer2013")
    before, untouched = calibrate.predict(one, faces), calibrate.predict(other, faces)
    calibrate.fold_into_logits(one, "ferplus", 0.5)
    wanted = calibrate.scale_temperature(before, 0.5)
    assert calibrate.predict(one, faces) == pytest.approx(wanted, abs=1e-5)
    assert calibrate.predict(other, faces) == pytest.approx(untouched)


@pytest.fixture
def trained(
    net: Any, faces: ferplus.FerFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A network's file as a training with these faces leaves it."""
    monkeypatch.setattr(ferplus, "load_faces", lambda split, folder: faces)
    net.save(tmp_path / "average.keras")
    return tmp_path / "average.keras"


@pytest.mark.evidence
def test_the_command_ships_a_model_a_head(
    net: Any,
    faces: ferplus.FerFaces,
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert calibrate.main([str(trained), "--out", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out
    for head, name, classes in (("ferplus", "alexnet-fer", 8), ("fer2013", "alexnet-fer2013", 7)):
        found = re.search(rf"{head}: temperature ([\d.]+)", printed)
        assert found
        shipped = keras.saving.load_model(tmp_path / "new" / f"{name}.keras", compile=False)
        assert shipped.output_shape == (None, classes)
        wanted = calibrate.scale_temperature(
            calibrate.predict(alexnet.single_head(net, head), faces), float(found[1])
        )
        assert calibrate.predict(shipped, faces) == pytest.approx(wanted, abs=2e-3)
        spec = load_spec(tmp_path / "new" / f"{name}.toml")
        training, _ = ferplus.split_training(faces)
        drawn, natural = calibrate.shares_of_labels(head, training, 0.5)
        assert spec.trained == pytest.approx(drawn, abs=1e-5)
        assert spec.natural == pytest.approx(natural, abs=1e-5)


def test_it_is_calibrated_for_the_prior_that_it_is_used_with(
    faces: ferplus.FerFaces,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    training, held_out = ferplus.split_training(faces)
    labels = calibrate.true_labels("ferplus", held_out)
    # It is right about two faces in three, and says so with 80%.
    said = np.where(np.arange(len(labels)) % 3, labels, (labels + 1) % len(LABELS))
    given = np.full((len(labels), len(LABELS)), 0.2 / (len(LABELS) - 1), np.float32)
    given[np.arange(len(labels)), said] = 0.8
    monkeypatch.setattr(calibrate, "predict", lambda net, faces: given)
    (trained.parent / "alexnet-fer.toml").write_text(
        f'prior = "natural"\n{toml_without_prior()}', "utf-8"
    )
    words = [str(trained), "--heads", "ferplus", "--out", str(trained.parent)]
    assert calibrate.main(words) == 0
    found = re.search(r"temperature ([\d.]+)", capsys.readouterr().out)
    drawn, natural = calibrate.shares_of_labels("ferplus", training, 0.5)
    ratios = np.array(list(natural.values())) / np.array(list(drawn.values()))
    assert found
    assert float(found[1]) == pytest.approx(
        calibrate.fit_temperature(given, labels, ratios), rel=0.01
    )
    assert float(found[1]) != pytest.approx(calibrate.fit_temperature(given, labels), rel=0.02)


def test_faces_that_only_fer2013_labels_are_learned_from_and_never_held_out() -> None:
    rng = np.random.default_rng(0)
    votes = np.zeros((100, 10), np.uint8)
    votes[:60, 0] = votes[60:, 9] = 10  # the last 40 are "not a face" to FER+
    images = rng.integers(0, 256, (100, 4, 4), np.uint8)
    faces = ferplus.FerFaces(images, votes, np.full(100, FER2013.index("sad"), np.uint8))
    learn, held_out = ferplus.split_training(faces)
    assert (len(learn), len(held_out)) == (97, 3)
    assert ferplus.is_usable(held_out).all()


def test_views_follow_their_faces(faces: ferplus.FerFaces, tmp_path: Path) -> None:
    np.savez(tmp_path / "view.npz", images=255 - faces.images)
    seen = ferplus.with_views(faces, [tmp_path / "view.npz"])[np.array([5, 3])]
    assert (seen.views[0] == 255 - faces.images[[5, 3]]).all()
