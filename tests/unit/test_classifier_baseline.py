"""The personal baseline: resting faces come to read as neutral, expressions stay."""

from collections.abc import Sequence

import numpy as np
import pytest

from emostream.services.classifier.baseline import MAX_DISCOUNT, RATE, Baseline, neutral_index
from emostream.services.classifier.smoothing import NS
from emostream.shared.errors import ConfigError

FPS = 25
NEUTRAL, HAPPY, SAD, ANGRY = range(4)
# What the model says of a resting face that looks sad to it, and of the person's expressions.
GLOOMY = (0.36, 0.01, 0.6, 0.03)
SMILE = (0.05, 0.9, 0.03, 0.02)
PLAIN = (0.85, 0.05, 0.08, 0.02)


def hold(
    baseline: Baseline, row: Sequence[float], seconds: float, start: float = 0.0
) -> tuple[np.ndarray, float]:
    """Show a row for a time; return what it is centered to at the end, and when that is."""
    frames = round(seconds * FPS)
    for frame in range(frames):
        centered = baseline.center(np.array(row), round((start + frame / FPS) * NS))
    return centered, start + frames / FPS


def test_a_resting_face_that_reads_sad_comes_to_read_neutral() -> None:
    baseline = Baseline(NEUTRAL, 4)
    centered, _ = hold(baseline, GLOOMY, 30)
    assert centered.argmax() == NEUTRAL
    assert centered[NEUTRAL] > 1.9 * centered[SAD]
    assert centered.sum() == pytest.approx(1)


def test_the_first_frame_is_unchanged_and_the_first_seconds_nearly() -> None:
    baseline = Baseline(NEUTRAL, 4)
    np.testing.assert_allclose(baseline.center(np.array(GLOOMY), 7), GLOOMY, atol=1e-9)
    centered, _ = hold(baseline, GLOOMY, 2)
    assert centered.argmax() == SAD


def test_a_face_that_reads_neutral_at_rest_keeps_its_probabilities() -> None:
    baseline = Baseline(NEUTRAL, 4)
    centered, _ = hold(baseline, PLAIN, 60)
    np.testing.assert_allclose(centered, PLAIN, atol=1e-9)


def test_a_gloomy_face_can_still_smile_and_be_plainly_sad() -> None:
    baseline = Baseline(NEUTRAL, 4)
    _, now = hold(baseline, GLOOMY, 60)
    smiling = baseline.center(np.array(SMILE), round(now * NS))
    assert smiling.argmax() == HAPPY
    weeping = baseline.center(np.array([0.1, 0.0, 0.88, 0.02]), round(now * NS))
    assert weeping.argmax() == SAD


def test_who_smiles_all_the_time_goes_on_smiling() -> None:
    baseline = Baseline(NEUTRAL, 4)
    centered, _ = hold(baseline, SMILE, 600)
    np.testing.assert_allclose(centered, SMILE, atol=1e-9)


def test_outbursts_count_for_their_length_alone() -> None:
    """An angry frame in five, however angry it is short of being beyond doubt, is no rest."""
    baseline = Baseline(NEUTRAL, 4)
    now = 0.0
    for _ in range(60):
        _, now = hold(baseline, (0.25, 0.05, 0.1, 0.6), 1, now)
        centered, now = hold(baseline, PLAIN, 4, now)
    assert baseline.discounts[ANGRY] <= RATE * 1.01
    assert centered.argmax() == NEUTRAL


def test_no_discount_exceeds_the_most() -> None:
    baseline = Baseline(NEUTRAL, 4)
    hold(baseline, (0.2, 0.0, 0.8, 0.0), 600)
    assert 0 <= baseline.discounts.min() <= baseline.discounts.max() <= MAX_DISCOUNT
    assert baseline.discounts[NEUTRAL] == 0


def test_a_rest_that_brightens_is_followed() -> None:
    baseline = Baseline(NEUTRAL, 4)
    _, now = hold(baseline, GLOOMY, 60)
    centered, _ = hold(baseline, PLAIN, 30, now)
    np.testing.assert_allclose(centered, PLAIN, atol=1e-9)


@pytest.mark.parametrize("fps", [5, 60])
def test_it_depends_on_time_and_not_on_the_number_of_frames(fps: int) -> None:
    baseline = Baseline(NEUTRAL, 4)
    for frame in range(10 * fps + 1):
        baseline.center(np.array(GLOOMY), round(frame / fps * NS))
    assert baseline.discounts[SAD] == pytest.approx(10 * RATE)


@pytest.mark.parametrize("jump", [-1000, 1000])
def test_gaps_and_a_clock_that_goes_back_count_for_little(jump: int) -> None:
    baseline = Baseline(NEUTRAL, 4)
    _, now = hold(baseline, GLOOMY, 2)
    before = baseline.discounts[SAD]
    baseline.center(np.array(GLOOMY), round((now + jump) * NS))
    assert before <= baseline.discounts[SAD] <= before + RATE


def test_probabilities_of_zero_are_survived() -> None:
    centered = Baseline(NEUTRAL, 3).center(np.array([0.0, 1.0, 0.0], np.float32), 0)
    assert np.isfinite(centered).all()
    assert centered.argmax() == 1


def test_a_model_without_neutral_is_one_clear_line() -> None:
    assert neutral_index(("happy", "Neutral"), "m") == 1
    with pytest.raises(ConfigError, match=r"classifier\.baseline.*model moods.*awake, asleep"):
        neutral_index(("awake", "asleep"), "moods")
