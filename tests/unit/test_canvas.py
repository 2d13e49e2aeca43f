"""Boxes and labels on the planes of video look like those on pictures in BGR."""

import cv2
import numpy as np
import pytest

from emostream.shared.annotate import annotate, draw
from emostream.shared.canvas import PlanesCanvas, to_planes
from emostream.shared.messages import Box, EmotionFace


def face(box: Box, left_out: str = "") -> EmotionFace:
    shares = {"happiness": 0.9, "neutral": 0.1}
    return EmotionFace(1, box, shares, shares, "happiness", 0.9, left_out=left_out)  # type: ignore[arg-type]


def in_bgr(planes: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420))


@pytest.mark.parametrize("size", [(1280, 720), (322, 242), (66, 50)])
@pytest.mark.parametrize(
    "box", [(40.0, 60.0, 100.0, 120.0), (-30.0, -20.0, 90.0, 90.0), (41.5, 33.5, 2000.0, 2000.0)]
)
@pytest.mark.parametrize("left_out", ["", "quality", "new"])
def test_planes_show_what_a_picture_does(size: tuple[int, int], box: Box, left_out: str) -> None:
    picture = np.full((size[1], size[0], 3), (90, 120, 60), np.uint8)
    planes = to_planes(picture)
    draw(PlanesCanvas(planes), [face(box, left_out)])
    expected = annotate(picture, [face(box, left_out)])
    # As it looks: color is shared by two by two pixels.
    shown, wanted = (
        cv2.resize(one, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA).astype(int)
        for one in (in_bgr(planes), in_bgr(to_planes(expected)))
    )
    assert np.abs(shown - wanted).mean() < 4
    changed = np.abs(expected.astype(int) - picture).max(axis=2) > 60
    marked = np.abs(in_bgr(planes).astype(int) - picture).max(axis=2) > 30
    assert marked[changed].mean() > 0.95 if changed.any() else not marked.any()


def test_odd_sides_are_padded() -> None:
    assert to_planes(np.zeros((5, 7, 3), np.uint8)).shape == (9, 8)
