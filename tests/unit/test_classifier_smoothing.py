"""Which label is shown for a track, at which moment."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from emostream.services.classifier.smoothing import NS, ShownLabel, SmoothingRules

FRAME = NS // 25
HAPPY, SAD, ANGRY = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]


def play(
    rules: SmoothingRules, rows: Sequence[Sequence[float]] | np.ndarray, frame: int = FRAME
) -> tuple[list[int], ShownLabel]:
    """Return the label shown at each of the frames, and what showed it."""
    shown = ShownLabel(rules, np.array(rows[0]), 0)
    labels = [shown.label]
    for index, row in enumerate(rows[1:], 1):
        shown.update(np.array(row), index * frame)
        labels.append(shown.label)
    return labels, shown


def changes(labels: list[int]) -> int:
    return sum(before != after for before, after in itertools.pairwise(labels))


@pytest.mark.parametrize(("noise", "most"), [(0.05, 0), (0.2, 0), (0.4, 12)])
def test_near_equal_classes_do_not_flicker(noise: float, most: int) -> None:
    """Over 80 s in which the frames' own label changes more than ten times per second."""
    generator = np.random.default_rng(1)
    rows = [[0.5 + d, 0.5 - d, 0.0] for d in generator.uniform(-noise, noise, 2000)]
    raw, _ = play(SmoothingRules(smoothing=0, hysteresis=0, hold=0), rows)
    steady, _ = play(SmoothingRules(), rows)
    assert changes(raw) > 800
    assert changes(steady) <= most


def test_a_single_wrong_frame_changes_nothing() -> None:
    labels, shown = play(SmoothingRules(), [HAPPY] * 25 + [SAD] + [HAPPY] * 25)
    assert set(labels) == {0}
    assert shown.since == 0


@pytest.mark.parametrize("rate", [5, 25, 60])
@pytest.mark.parametrize(
    "rules",
    [
        SmoothingRules(),
        SmoothingRules(smoothing=0),
        SmoothingRules(smoothing=1.0, hysteresis=0.3, hold=0.5),
        SmoothingRules(hold=0),
    ],
)
def test_a_true_change_is_shown_within_the_known_time(rules: SmoothingRules, rate: int) -> None:
    frame = NS // rate
    labels, shown = play(rules, [HAPPY] * 50 + [SAD] * 200, frame)
    seconds = (labels.index(1) - 49) / rate
    earliest = rules.smoothing * math.log(2 / (1 - rules.hysteresis)) + rules.hold
    assert earliest <= seconds + 1e-6
    assert seconds <= earliest + 2 / rate + 1e-6
    assert changes(labels) == 1
    assert shown.since / NS == pytest.approx((49 + 1) / rate + earliest - rules.hold, abs=1 / rate)


def test_smoothing_depends_on_time_not_on_the_number_of_frames() -> None:
    slow, fast = (ShownLabel(SmoothingRules(), np.array(HAPPY), 0) for _ in range(2))
    slow.update(np.array(SAD), NS)
    for pts in [*sorted(np.random.default_rng(2).integers(1, NS, 30).tolist()), NS]:
        fast.update(np.array(SAD), pts)
    # What two exponentials in series have left of a step after a second.
    first, second = SmoothingRules().smoothing, SmoothingRules().lag
    left = (first * math.exp(-1 / first) - second * math.exp(-1 / second)) / (first - second)
    expected = [left, 1 - left, 0]
    np.testing.assert_allclose(slow.smoothed, expected, atol=1e-9)
    np.testing.assert_allclose(fast.smoothed, expected, atol=1e-9)


def test_without_smoothing_the_probabilities_are_the_frames_own() -> None:
    _, shown = play(SmoothingRules(smoothing=0), [HAPPY, SAD, [0.2, 0.3, 0.5]])
    np.testing.assert_allclose(shown.smoothed, [0.2, 0.3, 0.5])


def test_smoothed_probabilities_stay_probabilities() -> None:
    rows = np.random.default_rng(3).dirichlet([1, 1, 1], 5000).astype(np.float32)
    _, shown = play(SmoothingRules(), rows)
    assert shown.smoothed.sum() == pytest.approx(1, abs=1e-6)
    assert shown.confidence == shown.smoothed[shown.label]


def test_rivals_that_take_turns_do_not_keep_a_label_that_is_gone() -> None:
    """The hold counts for each rival by itself, not only while it is the first of them."""
    turns = [[0.0, 0.55, 0.45], [0.0, 0.45, 0.55]]
    labels, _ = play(SmoothingRules(), [HAPPY] * 25 + turns * 100)
    assert labels[-1] != 0


def test_a_lead_that_breaks_off_starts_its_hold_again() -> None:
    rules = SmoothingRules(smoothing=0, hold=0.3)
    rows = [HAPPY, *[SAD] * 7, HAPPY, *[SAD] * 7, HAPPY]
    labels, _ = play(rules, rows)
    assert set(labels) == {0}


@pytest.mark.parametrize("smoothing", [0, 0.5])
def test_no_time_between_frames_holds_the_label(smoothing: float) -> None:
    shown = ShownLabel(SmoothingRules(smoothing=smoothing), np.array(HAPPY), 7)
    assert not any(shown.update(np.array(SAD), 7) for _ in range(1000))
    assert shown.label == 0
    assert np.isfinite(shown.smoothed).all()


def test_pts_that_go_back_are_survived_and_the_label_still_follows() -> None:
    shown = ShownLabel(SmoothingRules(), np.array(HAPPY), 1000 * NS)
    for index in range(15):
        shown.update(np.array(SAD), 1000 * NS + index * FRAME)
    assert shown.label == 0
    assert not shown.update(np.array(SAD), 0)
    assert shown.smoothed.sum() == pytest.approx(1)
    follows = [shown.update(np.array(SAD), index * FRAME) for index in range(1, 25)]
    assert follows.count(True) == 1
    assert shown.label == 1
    assert 0 <= shown.since < NS


@pytest.mark.parametrize(
    "rules", [SmoothingRules(), SmoothingRules(hold=0), SmoothingRules(smoothing=0.385, hold=0.3)]
)
def test_the_label_is_the_strongest_smoothed_probability(rules: SmoothingRules) -> None:
    """In 98% of the frames of an actor whose expression changes every four seconds.

    With one change of label for each of expression. The frames' probabilities are noisy and cross
    slowly where one expression passes into the next. The last rules have two equal time constants.
    """
    generator = np.random.default_rng(5)
    truth = np.arange(180 * 25) // (4 * 25) % 3
    passage = np.ones(20) / 20  # of 0.8 s
    mean = np.stack([np.convolve(truth == k, passage, mode="same") for k in range(3)], axis=1)
    rows = 0.5 * mean + 0.5 * generator.dirichlet([1, 1, 1], len(mean))
    shown = ShownLabel(rules, rows[0], 0)
    labels, strongest = [], []
    for index, row in enumerate(rows):
        shown.update(row, index * FRAME)
        labels.append(shown.label)
        strongest.append(int(np.argmax(shown.smoothed)))
    assert np.mean(np.equal(labels, strongest)) >= 0.98
    assert changes(labels) == changes(truth.tolist())
