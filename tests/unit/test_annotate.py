"""The drawing of results."""

import itertools
import math

import cv2
import numpy as np
import pytest

from models.labels import LABELS
from shared.annotate import COLORS, annotate, bgr, text_color
from shared.messages import Box, EmotionFace

# Vienot, Brettel and Mollon 1999: linear RGB as a person without the red or the green cones sees.
PROTANOPIA = ((0.11238, 0.88762, 0), (0.11238, 0.88762, 0), (0.00401, -0.00401, 1))
DEUTERANOPIA = ((0.29275, 0.70725, 0), (0.29275, 0.70725, 0), (-0.02234, 0.02234, 1))


def face(box: Box, label: str = "happiness") -> EmotionFace:
    return EmotionFace(1, box, {}, {}, label, 0.93)


def gray(width: int, height: int) -> np.ndarray:
    picture = np.full((height, width, 3), 90, np.uint8)
    picture.flags.writeable = False
    return picture


def changed(picture: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    return np.argwhere((picture != drawn).any(axis=2))


def test_each_emotion_has_its_colour() -> None:
    assert tuple(COLORS) == LABELS
    assert len(set(COLORS.values())) == len(LABELS)


@pytest.mark.parametrize("seen", [np.eye(3), PROTANOPIA, DEUTERANOPIA])
def test_colours_differ_for_every_eye(seen) -> None:
    def lab(color: str) -> np.ndarray:
        linear = (np.array(bgr(color)[::-1]) / 255) ** 2.2
        visible = (np.clip(np.asarray(seen) @ linear, 0, 1) ** (1 / 2.2)).astype(np.float32)
        return cv2.cvtColor(visible.reshape(1, 1, 3), cv2.COLOR_RGB2LAB)[0, 0]

    for one, other in itertools.combinations(COLORS.values(), 2):
        assert np.linalg.norm(lab(one) - lab(other)) > 10, (one, other)


@pytest.mark.parametrize("label", LABELS)
def test_the_box_has_the_emotions_colour_and_the_picture_stays(label) -> None:
    picture = gray(640, 360)
    drawn = annotate(picture, [face((200, 150, 100, 120), label)])
    assert tuple(drawn[210, 200]) == bgr(COLORS[label])
    assert tuple(drawn[210, 300]) == bgr(COLORS[label])
    assert tuple(drawn[270, 250]) == bgr(COLORS[label])
    assert (picture == 90).all()
    assert (drawn[170:260, 210:290] == 90).all(), "the face itself must stay visible"


def test_an_unknown_label_is_drawn_too() -> None:
    assert changed(gray(640, 360), annotate(gray(640, 360), [face((200, 150, 9, 9), "joy")])).size


def test_without_faces_it_is_a_writable_copy() -> None:
    drawn = annotate(gray(64, 48), [])
    assert (drawn == 90).all()
    drawn[0, 0] = 0


@pytest.mark.parametrize("width,height", [(480, 270), (1280, 720), (720, 1280), (3840, 2160)])
def test_label_is_readable_at_every_size(width, height) -> None:
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
def test_the_label_stays_inside_the_picture(box) -> None:
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
def test_odd_boxes_and_pictures_are_survived(box, width, height) -> None:
    assert annotate(gray(width, height), [face(box)]).shape == (height, width, 3)


@pytest.mark.parametrize("background,text", [("#f0e442", (0, 0, 0)), ("#0072b2", (255,) * 3)])
def test_text_stands_out_from_its_background(background, text) -> None:
    assert text_color(bgr(background)) == text
