"""Figures, protocols and calibration on cases worked out by hand."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import models
from models import LABELS, calibrate, data, evaluate, scores, weights
from shared.errors import SourceError

FER = Path(__file__).parents[2] / data.FOLDER
needs_data = pytest.mark.skipif(
    not FER.exists(), reason=f"needs the training data folder {data.FOLDER}"
)


def votes(**given: int) -> np.ndarray:
    names = [*LABELS, "unknown", "face"]
    row = np.zeros(10, np.uint8)
    for name, count in given.items():
        row[names.index(name)] = count
    return row[None]


@pytest.mark.parametrize(
    ("row", "a", "b"),
    [
        (votes(anger=10), 4, 4),
        (votes(neutral=5, sadness=5), -1, 0),  # no majority
        (votes(neutral=4, sadness=3, fear=1, anger=1, disgust=1), 0, 0),  # 4 of the 7 that count
        (votes(unknown=6, fear=4), -1, -1),
        (votes(face=10), -1, -1),
        (votes(happiness=4, unknown=4), -1, 1),  # the first of two equals
    ],
)
def test_protocols_by_hand(row: np.ndarray, a: int, b: int) -> None:
    assert data.protocol_a(row).tolist() == [a]
    assert data.protocol_b(row).tolist() == [b]


def test_soft_labels_drop_single_votes_and_what_is_no_emotion() -> None:
    assert data.soft_labels(votes(neutral=6, sadness=2, fear=1, unknown=2))[0].tolist() == (
        pytest.approx([0.75, 0, 0, 0.25, 0, 0, 0, 0])
    )
    assert not data.soft_labels(votes(face=10)).any()


@needs_data
def test_the_protocols_leave_the_published_numbers_of_faces() -> None:
    faces = data.read("PublicTest", FER)
    assert len(faces) == 3579
    assert (data.protocol_a(faces.votes) >= 0).sum() == 3199
    assert (data.protocol_b(faces.votes) >= 0).sum() == 3553


def test_held_out_faces_are_not_trained_on() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 2, 2), np.uint8)
    images[100:] = images[:100]  # each picture twice
    images[:20] = rng.integers(0, 256, (20, 2, 2), np.uint8)
    faces = data.Faces(images, np.zeros((200, 10), np.uint8))
    learn, held_out = data.hold_out(faces, 0.2)
    assert len(learn) == 160
    assert 0 < len(held_out) < 40
    assert not data.copies(held_out, learn).any()
    again, _ = data.hold_out(faces, 0.2)
    assert (again.images == learn.images).all()


def test_a_folder_without_faces_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--data"):
        data.read("PublicTest", tmp_path)


def test_scores_by_hand() -> None:
    probabilities = np.full((5, 8), 0.02, np.float32)
    probabilities[range(5), [0, 0, 1, 1, 2]] = 0.86
    given = scores.score(probabilities, np.array([0, 1, 1, 1, -1]))
    assert given.faces == 4
    assert given.accuracy == 0.75
    assert given.macro_recall == pytest.approx((1 + 2 / 3) / 2)
    assert given.confusion[1][:3] == [1, 2, 0]
    assert np.isnan(given.recall["fear"])
    assert given.nll == pytest.approx(-(3 * np.log(0.86) + np.log(0.02)) / 4)
    assert given.ece == pytest.approx(0.86 - 0.75)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_intervals(right: int, total: int, low: float, high: float) -> None:
    assert scores.wilson(right, total) == pytest.approx((low, high), abs=5e-4)


def test_calibration_finds_the_temperature_that_was_applied() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 8))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(8, p=row) for row in honest])
    overconfident = calibrate.cooled(honest.astype(np.float32), 0.5)
    found = calibrate.temperature(overconfident, labels)
    assert found == pytest.approx(2, rel=0.05)
    before = scores.calibration_error(overconfident, labels)
    assert scores.calibration_error(calibrate.cooled(overconfident, found), labels) < before / 3


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # as Keras saves
def test_calibration_is_folded_into_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    faces = data.Faces(rng.integers(0, 256, (400, 48, 48), np.uint8), np.zeros((400, 10), np.uint8))
    faces.votes[range(400), rng.integers(0, 8, 400)] = 10
    monkeypatch.setattr(data, "read", lambda split, folder: faces)
    trained, out = weights.find("alexnet-fer"), tmp_path / "calibrated.keras"
    assert calibrate.main([str(trained), "--out", str(out)]) == 0
    found = re.search(r"temperature ([\d.]+)", capsys.readouterr().out)
    assert found
    before = models.load(trained).predict(faces.images[:8])
    after = models.load(out).predict(faces.images[:8])
    assert after == pytest.approx(calibrate.cooled(before, float(found[1])), abs=1e-3)
    assert not np.allclose(after, before, atol=1e-2)


@needs_data
@pytest.mark.parametrize("words", [[], ["--json"]])
def test_the_command_prints_both_protocols(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = data.read("PublicTest", FER)[:64]
    monkeypatch.setattr(data, "read", lambda split, folder: few)
    assert evaluate.main(words) == 0
    out = capsys.readouterr().out
    if words:
        assert set(json.loads(out)) == {"A", "B"}
    else:
        assert "Protocol A" in out
        assert "Protocol B" in out


def test_the_command_says_where_faces_are_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["--data", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: no training faces in ")
