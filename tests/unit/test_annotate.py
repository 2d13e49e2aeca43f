"""The drawing of results."""

import math

import numpy as np
import pytest

from emostream.models.labels import LABELS
from emostream.shared import label_strip as strips
from emostream.shared.annotate import annotate
from emostream.shared.colors import COLORS, bgr, colors
from emostream.shared.label_strip import LONGEST_TEXT, label_strip
from emostream.shared.messages import Box, EmotionFace


def face(box: Box, label: str = "happiness") -> EmotionFace:
    return EmotionFace(1, box, {}, {}, label, 0.93)


def gray(width: int, height: int) -> np.ndarray:
    picture = np.full((height, width, 3), 90, np.uint8)
    picture.flags.writeable = False
    return picture


def changed(picture: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    return np.argwhere((picture != drawn).any(axis=2))


@pytest.mark.parametrize("label", LABELS)
def test_the_box_has_the_emotions_color_and_the_picture_stays(label: str) -> None:
    picture = gray(640, 360)
    drawn = annotate(picture, [face((200, 150, 100, 120), label)])
    assert tuple(drawn[210, 200]) == bgr(COLORS[label])
    assert tuple(drawn[210, 300]) == bgr(COLORS[label])
    assert tuple(drawn[270, 250]) == bgr(COLORS[label])
    assert (picture == 90).all()
    assert (drawn[170:260, 210:290] == 90).all(), "the face itself must stay visible"


def test_labels_of_any_model_are_drawn_in_their_own_colors() -> None:
    smoothed = {"awake": 0.7, "asleep": 0.3}
    for label, color in colors(tuple(smoothed)).items():
        drawn = annotate(gray(640, 360), [EmotionFace(1, (9, 90, 80, 80), {}, smoothed, label, 1)])
        assert tuple(drawn[130, 9]) == bgr(color)


def test_a_label_that_is_not_among_the_probabilities_is_drawn_too() -> None:
    assert changed(gray(640, 360), annotate(gray(640, 360), [face((200, 150, 9, 9), "odd")])).size


def test_without_faces_it_is_a_writable_copy() -> None:
    drawn = annotate(gray(64, 48), [])
    assert (drawn == 90).all()
    drawn[0, 0] = 0


@pytest.mark.parametrize("width,height", [(480, 270), (1280, 720), (720, 1280), (3840, 2160)])
def test_label_is_readable_at_every_size(width: int, height: int) -> None:
    drawn = annotate(gray(width, height), [face((width * 0.4, height * 0.4, 60, 60))])
    strip = np.argwhere((drawn == bgr(COLORS["happiness"])).all(axis=2))
    rows = strip[(strip[:, 0] < height * 0.4 - 3)][:, 0]
    tall = rows.max() - rows.min()
    assert tall >= 13
    assert 0.025 * min(width, height) <= tall <= 0.07 * min(width, height)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((-40, -40, 100, 100), id="top left"),
        pytest.param((600, 300, 100, 100), id="bottom right"),
        pytest.param((630, 100, 60, 60), id="no room to the right"),
        pytest.param((100, 2, 60, 60), id="no room above"),
        pytest.param((-10, -10, 660, 380), id="around the picture"),
    ],
)
def test_the_label_stays_inside_the_picture(box: Box) -> None:
    drawn = annotate(gray(640, 360), [face(box)])
    filled = (drawn == bgr(COLORS["happiness"])).all(axis=2)
    letters = (drawn == 0).all(axis=2)
    assert filled.sum() > 1_000
    rows, columns = np.nonzero(letters)
    assert rows.min() > 0 and rows.max() < 359
    assert columns.min() > 0 and columns.max() < 639


@pytest.mark.parametrize(
    "box",
    [
        (1e12, 1e12, 5, 5),
        (-1e12, 0, 2e12, 5),
        (0, 0, 0, 0),
        (10, 10, -5, -5),
        (math.nan, 0, 5, 5),
        (0, 0, math.inf, 5),
    ],
)
@pytest.mark.parametrize("width,height", [(1, 1), (7, 3), (640, 360)])
def test_odd_boxes_and_pictures_are_survived(box: Box, width: int, height: int) -> None:
    assert annotate(gray(width, height), [face(box)]).shape == (height, width, 3)


YELLOW = bgr(COLORS["happiness"])


def ink(text: str, size: int = 18) -> np.ndarray:
    """Return where the letters are, as a share of black."""
    strip = label_strip(text, size, YELLOW).astype(float)
    return 1 - strip[:, :, 2] / YELLOW[2]


def test_letters_of_other_languages_are_drawn_and_no_question_marks() -> None:
    for text, plain in (("Ärger", "Arger"), ("Überraschung", "Uberraschung"), ("joie é", "joie e")):
        assert ink(text).shape == ink(plain).shape
        assert ink(text).sum() > ink(plain).sum(), "the mark on the letter is drawn too"


def test_letters_have_smooth_rims_and_a_line_without_them_is_equally_high() -> None:
    letters = ink("happiness 93%")
    assert ((letters > 0.1) & (letters < 0.9)).sum() > 100
    assert letters.shape[0] == ink("e").shape[0] == ink("").shape[0]


def test_a_label_is_drawn_once_and_cannot_be_changed() -> None:
    strip = label_strip("fear 50%", 18, YELLOW)
    assert label_strip("fear 50%", 18, YELLOW) is strip
    with pytest.raises(ValueError, match="read-only"):
        strip[0, 0] = 0


@pytest.mark.parametrize("text", ["\n", "a\tb", "\0", "x" * 100_000, "\u200d\U0001f600"])
def test_odd_labels_are_survived(text: str) -> None:
    assert label_strip(text, 18, YELLOW).shape[1] < 40 * LONGEST_TEXT
    drawn = annotate(gray(64, 48), [face((5, 20, 30, 20), text)])
    assert drawn.shape == (48, 64, 3)


def test_without_the_font_of_opencv_pillow_s_own_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "BUNDLED_FONT", ("qt", "fonts", "none.ttf"))
    strips._font.cache_clear()
    label_strip.cache_clear()
    try:
        assert ink("fear 50%").sum() > 50
    finally:
        strips._font.cache_clear()
        label_strip.cache_clear()
