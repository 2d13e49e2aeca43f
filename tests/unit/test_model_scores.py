"""Figures, protocols and calibration on cases worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from emostream.models import LABELS, ferplus
from emostream.models.evaluation import scores
from emostream.shared.errors import SourceError

FER = Path(__file__).parents[2] / ferplus.FOLDER
needs_data = pytest.mark.skipif(
    not FER.exists(), reason=f"needs the training data folder {ferplus.FOLDER}"
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
    assert ferplus.protocol_a(row).tolist() == [a]
    assert ferplus.protocol_b(row).tolist() == [b]


def test_soft_labels_drop_single_votes_and_what_is_no_emotion() -> None:
    assert ferplus.soft_labels(votes(neutral=6, sadness=2, fear=1, unknown=2))[0].tolist() == (
        pytest.approx([0.75, 0, 0, 0.25, 0, 0, 0, 0])
    )
    assert not ferplus.soft_labels(votes(face=10)).any()


@needs_data
def test_the_protocols_leave_the_published_numbers_of_faces() -> None:
    faces = ferplus.load_faces("PublicTest", FER)
    assert len(faces) == 3579
    assert (ferplus.protocol_a(faces.votes) >= 0).sum() == 3199
    assert (ferplus.protocol_b(faces.votes) >= 0).sum() == 3553


def test_held_out_faces_are_not_trained_on() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 2, 2), np.uint8)
    images[100:] = images[:100]  # each picture twice
    images[:20] = rng.integers(0, 256, (20, 2, 2), np.uint8)
    faces = ferplus.FerFaces(images, np.zeros((200, 10), np.uint8), np.zeros(200, np.uint8))
    learn, held_out = ferplus.hold_out(faces, 0.2)
    assert len(learn) == 160
    assert 0 < len(held_out) < 40
    assert not ferplus.duplicates(held_out, learn).any()
    again, _ = ferplus.hold_out(faces, 0.2)
    assert (again.images == learn.images).all()


def test_a_folder_without_faces_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--data"):
        ferplus.load_faces("PublicTest", tmp_path)


def test_scores_by_hand() -> None:
    probabilities = np.full((5, 8), 0.02, np.float32)
    probabilities[range(5), [0, 0, 1, 1, 2]] = 0.86
    given = scores.score(probabilities, np.array([0, 1, 1, 1, -1]))
    assert given.faces == 4
    assert given.accuracy == 0.75
    assert given.macro_recall == pytest.approx((1 + 2 / 3) / 2)
    low, high = given.macro_interval
    assert low <= given.macro_recall <= high
    assert given.confusion[1][:3] == [1, 2, 0]
    assert np.isnan(given.recall["fear"])
    assert given.precision["neutral"] == 0.5
    assert given.f1["happiness"] == pytest.approx(2 * 2 / (2 + 3))
    assert given.nll == pytest.approx(-(3 * np.log(0.86) + np.log(0.02)) / 4)
    assert given.ece == pytest.approx(0.86 - 0.75)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_intervals(right: int, total: int, low: float, high: float) -> None:
    assert scores.wilson_interval(right, total) == pytest.approx((low, high), abs=5e-4)


def test_any_set_of_labels_is_scored() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)
    given = scores.score(probabilities, np.array([0, 1, 1]), ("calm", "upset"))
    assert given.confusion == [[1, 0], [1, 1]]
    assert given.recall == {"calm": 1.0, "upset": 0.5}


def test_the_interval_of_the_macro_recall_is_wider_for_a_rare_label() -> None:
    common = np.array([[80, 20], [20, 80]])
    rare = np.array([[80, 20], [2, 8]])
    low, high = scores.macro_recall_interval(common)
    assert low < 0.8 < high
    # Two independent shares of 100: their mean has a deviation of sqrt(2 * 0.16 / 100) / 2.
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(2 * 0.16 / 100) / 2, rel=0.1)
    low, high = scores.macro_recall_interval(rare)
    assert high - low > 0.2


def test_the_gap_is_that_of_pairs() -> None:
    before = np.repeat([True, False], [80, 20])
    low, high = scores.accuracy_loss_interval(before, before)
    assert (low, high) == (0, 0)
    after = before.copy()
    after[:10] = False
    low, high = scores.accuracy_loss_interval(before, after)
    assert low < 0.1 < high
    # Ten lost of a hundred: a binomial share.
    assert high - low == pytest.approx(2 * 1.96 * 0.03, rel=0.15)
