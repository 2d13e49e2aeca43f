"""What an evaluation says of a model whose answers are known."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from emostream.models.evaluation import evaluator, robustness, slices
from emostream.models.evaluation.corruptions import CORRUPTIONS
from emostream.models.evaluation.datasets import Dataset
from emostream.models.evaluation.domain_gap import DetectedFaces, match_boxes, measure_gap

LABELS = ("dark", "bright")


class Fake:
    """Calls a face bright by the mean of what a rule says of it, with a certain confidence."""

    labels = LABELS

    def __init__(self, rule: Callable[[np.ndarray], bool], sure: float = 0.9) -> None:
        self._rule, self._sure = rule, sure

    def predict(self, faces: list[np.ndarray] | np.ndarray) -> np.ndarray:
        bright = np.array([self._rule(np.asarray(face)) for face in faces], bool).reshape(-1)
        share = np.where(bright, self._sure, 1 - self._sure)
        return np.stack([1 - share, share], axis=1).astype(np.float32)


def shades(levels: list[int], truth: list[int]) -> Dataset:
    """Faces of even gray."""
    images = np.stack([np.full((48, 48), level, np.uint8) for level in levels])
    return Dataset("shades", images, {"labels": np.array(truth)})


bright = Fake(lambda face: face.mean() > 127)


def test_a_perfect_model_makes_no_mistakes() -> None:
    found = evaluator.evaluate(bright, shades([10, 20, 200, 250], [0, 0, 1, 1]))
    (verdict,) = found.verdicts
    assert verdict.single.accuracy == verdict.mirrored.accuracy == 1
    assert found.mistakes == []
    assert found.flips == 0


def test_the_worst_mistakes_come_first_with_picture_and_labels() -> None:
    images = [np.full((4, 4), level, np.uint8) for level in (200, 255, 10)]
    dataset = Dataset("three", images, {"labels": np.array([0, 0, 0])})

    class Sure(Fake):
        def predict(self, faces: list[np.ndarray] | np.ndarray) -> np.ndarray:
            share = np.array([np.mean(face) / 255 for face in faces])
            return np.stack([1 - share, share], axis=1).astype(np.float32)

    worst, other = evaluator.evaluate(Sure(lambda _: True), dataset).mistakes
    assert (worst.true, worst.given) == ("dark", "bright")
    assert worst.probability == 1
    assert (worst.picture == 255).all()
    assert other.probability == pytest.approx(200 / 255)


def test_votes_stand_beside_a_mistake() -> None:
    votes = np.zeros((1, 10), np.uint8)
    votes[0, [0, 3, 8]] = 2, 7, 1
    images = np.full((1, 48, 48), 200, np.uint8)
    dataset = Dataset("one", images, {"B": np.array([0])}, votes)
    (mistake,) = evaluator.evaluate(bright, dataset).mistakes
    assert list(mistake.votes.items()) == [("sadness", 7), ("neutral", 2), ("unknown", 1)]


def test_no_more_than_twenty_mistakes_are_shown() -> None:
    assert len(evaluator.evaluate(bright, shades([200] * 30, [0] * 30)).mistakes) == 20


def test_mirroring_is_left_for_right_and_its_mean_counts() -> None:
    half = np.zeros((1, 48, 48), np.uint8)
    half[:, :, 24:] = 255
    right = Fake(lambda face: face[:, 24:].mean() > 127)
    found = evaluator.evaluate(right, Dataset("half", half, {"labels": np.array([1])}))
    assert found.flips == 1
    (verdict,) = found.verdicts
    assert verdict.single.nll == pytest.approx(-np.log(0.9), abs=1e-6)
    assert verdict.mirrored.nll == pytest.approx(-np.log(0.5), abs=1e-6)


def test_faces_that_a_protocol_leaves_out_count_nowhere() -> None:
    found = evaluator.evaluate(bright, shades([10, 200, 200], [0, 1, -1]))
    assert found.verdicts[0].single.faces == 2
    assert sum(one.faces for one in found.bins) == 2
    assert not found.mistakes


def test_bins_tell_confidence_from_truth() -> None:
    (one,) = evaluator.evaluate(bright, shades([200] * 4, [1, 1, 1, 0])).bins
    assert (one.faces, one.accuracy) == (4, 0.75)
    assert one.confidence == pytest.approx(0.9)


def test_slices_by_agreement_and_brightness() -> None:
    votes = np.zeros((6, 10), np.uint8)
    votes[:, 0] = 10, 9, 8, 6, 4, 4
    votes[:, 8] = 10 - votes[:, 0]
    images = np.stack([np.full((48, 48), 40 * level, np.uint8) for level in range(6)])
    dataset = Dataset("six", images, {"B": np.zeros(6, np.intp)}, votes)
    right = np.array([True, True, False, True, False, False])
    rows = {(row.by, row.part): row for row in slices.slice_accuracies(dataset, right)}
    assert rows["agreement", "90% or more"].faces == 2
    assert rows["agreement", "90% or more"].accuracy == 1
    assert rows["agreement", "70 to 90%"].accuracy == 0
    assert rows["agreement", "below 50%"].faces == 2
    assert rows["brightness", "darkest third"].accuracy == 1
    assert rows["brightness", "brightest third"].accuracy == 0


def test_a_softer_face_is_less_sharp() -> None:
    sharp = np.random.default_rng(0).integers(0, 255, (48, 48), np.uint8)
    _, detail = slices.brightness_and_sharpness(
        [np.asarray(cv2.GaussianBlur(sharp, (0, 0), 2)), sharp]
    )
    assert detail[0] < detail[1]


def test_robustness_says_what_is_lost_and_repeats() -> None:
    """Low light makes every face dark; nothing else does."""
    dataset = shades([200] * 10 + [20] * 10, [1] * 10 + [0] * 10)
    rows = {row.condition: row for row in robustness.measure_robustness(bright, dataset, seed=3)}
    assert set(rows) == {condition.name for condition in CORRUPTIONS}
    assert rows["low light"].accuracy == 0.5
    assert rows["low light"].lost == 0.5
    assert all(row.kept == 1 and row.kept_lost == row.lost for row in rows.values())
    none = robustness.measure_robustness(bright, dataset, seed=3, min_quality=1.0)
    assert {(row.kept, row.kept_accuracy, row.kept_lost) for row in none} == {(0.0, None, None)}
    assert rows["JPEG quality 30"].lost == 0
    noisy = [robustness.corrupted(dataset, CORRUPTIONS[1], seed).images for seed in (3, 3, 4)]
    assert (np.array(noisy[0]) == np.array(noisy[1])).all()
    assert (np.array(noisy[0]) != np.array(noisy[2])).any()


@pytest.mark.parametrize("condition", CORRUPTIONS, ids=lambda one: one.name)
@pytest.mark.parametrize("shape", [(48, 48), (70, 60), (48, 48, 3)])
def test_a_worse_crop_keeps_its_shape(condition: object, shape: tuple[int, ...]) -> None:
    face = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    worse = condition.crop(face, np.random.default_rng(0))  # type: ignore[attr-defined]
    assert worse.shape == shape
    assert worse.dtype == np.uint8
    assert (worse != face).any()


def test_boxes_and_faces_pair_by_their_middles() -> None:
    faces = np.array([[0, 0, 100, 100], [200, 0, 100, 100], [500, 0, 100, 100]], float)
    boxes = np.array([[210, 10, 60, 60], [10, 10, 100, 100], [12, 0, 100, 100], [460, 0, 50, 50]])
    pairs = dict(match_boxes(boxes.astype(float), faces))
    assert pairs == {1: 0, 0: 1}  # the closer of two on one face; one that is too far off
    assert match_boxes(np.empty((0, 4)), faces) == []


def test_the_gap_compares_the_same_faces() -> None:
    dataset = shades([200, 200, 20, 20], [1, 1, 0, 0])
    aligned = np.stack([np.full((64, 64), level, np.uint8) for level in (200, 20, 20)])
    boxed = np.full((3, 64, 64), 200, np.uint8)
    found = DetectedFaces(
        2, 4, 1, 5.0, np.array([0, 1, 3]), aligned, boxed, np.array([0.9, 0.4, 0.7])
    )
    gap = measure_gap("as drawn", bright, dataset, found, min_quality=0.7)
    assert gap.recall.share == 0.75
    assert gap.bare and gap.bare.share == 1
    assert gap.aligned and gap.aligned.share == pytest.approx(2 / 3)
    assert gap.boxed and gap.boxed.share == pytest.approx(2 / 3)
    assert gap.lost == pytest.approx(1 / 3)
    assert gap.kept and gap.kept.share == pytest.approx(2 / 3)
    assert gap.kept_bare and gap.kept_aligned
    assert (gap.kept_bare.share, gap.kept_aligned.share, gap.kept_lost) == (1, 1, 0)
    assert gap.lost_interval and gap.lost_interval[0] <= 1 / 3 <= gap.lost_interval[1]


def test_without_a_found_face_there_is_no_gap() -> None:
    none = np.empty((0, 64, 64), np.uint8)
    found = DetectedFaces(1, 1, 0, 1, np.array([], int), none, none, np.array([]))
    gap = measure_gap("dark", bright, shades([200], [1]), found)
    assert gap.recall.share == 0
    assert (gap.lost, gap.kept, gap.kept_lost) == (None, None, None)
