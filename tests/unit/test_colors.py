"""The colors of labels: steady, and told apart by every eye."""

import itertools
import subprocess
import sys

import cv2
import numpy as np
import pytest

from emostream.models.labels import LABELS
from emostream.shared.colors import COLORS, FURTHER, bgr, colors, text_color

# Vienot, Brettel and Mollon 1999: linear RGB as a person without the red or the green cones sees.
PROTANOPIA = ((0.11238, 0.88762, 0), (0.11238, 0.88762, 0), (0.00401, -0.00401, 1))
DEUTERANOPIA = ((0.29275, 0.70725, 0), (0.29275, 0.70725, 0), (-0.02234, 0.02234, 1))
SEVEN = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@pytest.mark.parametrize("seen", [np.eye(3), PROTANOPIA, DEUTERANOPIA])
def test_colors_differ_for_every_eye(seen: np.ndarray | tuple[tuple[float, ...], ...]) -> None:
    def lab(color: str) -> np.ndarray:
        linear = (np.array(bgr(color)[::-1]) / 255) ** 2.2
        visible = (np.clip(np.asarray(seen) @ linear, 0, 1) ** (1 / 2.2)).astype(np.float32)
        return np.asarray(cv2.cvtColor(visible.reshape(1, 1, 3), cv2.COLOR_RGB2LAB)[0, 0])

    for one, other in itertools.combinations((*COLORS.values(), *FURTHER), 2):
        assert np.linalg.norm(lab(one) - lab(other)) > 10, (one, other)


def test_each_emotion_has_its_color() -> None:
    assert colors(LABELS) == COLORS
    assert len(set(COLORS.values())) == len(LABELS)


def test_an_emotion_keeps_its_color_in_other_sets_by_other_names() -> None:
    given = colors(SEVEN)
    named = dict(zip(SEVEN, ("anger", "disgust", "fear", "happiness", "neutral", "sadness",
                             "surprise"), strict=True))  # fmt: skip
    assert given == {label: COLORS[name] for label, name in named.items()}
    assert colors((*LABELS, "Happy"))["Happy"] == COLORS["happiness"]


def test_labels_of_any_kind_have_colors_of_their_own() -> None:
    labels = (*LABELS, *(f"mood {number}" for number in range(len(FURTHER))))
    assert len(set(colors(labels).values())) == len(labels)
    assert len(colors(tuple(f"mood {number}" for number in range(100)))) == 100


def test_further_labels_change_no_color() -> None:
    labels = ("joy", "happy", "awake", "asleep", "sad")
    for count in range(len(labels)):
        assert colors(labels[:count]).items() <= colors(labels).items()


def test_another_process_gives_the_same_colors() -> None:
    program = "from emostream.shared.colors import colors; print(colors(('awake', 'asleep')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == str(colors(("awake", "asleep")))


@pytest.mark.parametrize("background,text", [("#f0e442", (0, 0, 0)), ("#0072b2", (255,) * 3)])
def test_text_stands_out_from_its_background(background: str, text: tuple[int, int, int]) -> None:
    assert text_color(bgr(background)) == text
