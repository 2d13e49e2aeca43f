"""The drawing of results: boxes, labels and confidences on a copy of a picture."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from emostream.shared.canvas import BgrCanvas, Canvas
from emostream.shared.colors import Color, bgr, colors
from emostream.shared.label_strip import label_strip
from emostream.shared.messages import Box, EmotionFace
from emostream.shared.pixels import Image

OUTLINE: Final = (32, 32, 32)
LEFT_OUT: Final = (190, 190, 190)
# In pixels: in a picture of 1280 x 720, and the smallest that can be read.
FONT_SIZE: Final = 18
SMALLEST_FONT: Final = 11


def label_and_confidence(face: EmotionFace) -> str:
    """Return what is written at a face: `happiness 93%`."""
    return f"{face.label} {face.confidence:.0%}"


def annotate(
    image: Image,
    faces: Sequence[EmotionFace],
    text: Callable[[EmotionFace], str] = label_and_confidence,
) -> Image:
    """Return a copy of the picture with each face's box and text drawn on it.

    `image` is uint8 (height, width, 3) in BGR order and may be read-only. Boxes may reach out of
    the picture. Lines and letters grow with the picture. A face that cannot be judged has a thin
    gray box alone, one of a track that has not entered nothing.
    """
    drawn = np.array(image, np.uint8, order="C")
    draw(BgrCanvas(drawn), faces, text)
    return drawn


def draw(
    canvas: Canvas,
    faces: Sequence[EmotionFace],
    text: Callable[[EmotionFace], str] = label_and_confidence,
) -> None:
    """Draw the same on the picture itself."""
    for face in faces:
        if face.left_out != "new" and all(math.isfinite(number) for number in face.box):
            _draw(canvas, face, text(face))


def _draw(canvas: Canvas, face: EmotionFace, text: str) -> None:
    scale = math.sqrt(canvas.height * canvas.width / (720 * 1280))
    corners = _corners(face.box, canvas.width, canvas.height)
    if face.left_out:
        canvas.rectangle(corners, LEFT_OUT, max(1, round(1.5 * scale)))
        return
    line = max(1, round(2.5 * scale))
    color = bgr(colors((*face.smoothed, face.label))[face.label])
    # The dark line around keeps a bright box visible on a bright wall.
    canvas.rectangle(corners, OUTLINE, line + 2)
    canvas.rectangle(corners, color, line)
    _label(canvas, text, corners[:2], color, scale)


def _corners(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom, no further out than OpenCV can draw."""
    x, y, across, down = box
    left, right = (round(min(max(at, -width), 2.0 * width)) for at in (x, x + across))
    top, bottom = (round(min(max(at, -height), 2.0 * height)) for at in (y, y + down))
    return left, top, right, bottom


def _label(canvas: Canvas, text: str, corner: tuple[int, int], color: Color, scale: float) -> None:
    """Write the text on a filled strip above the corner, or below where the picture ends."""
    strip = label_strip(text, max(SMALLEST_FONT, round(FONT_SIZE * scale)), color)
    height, width = strip.shape[:2]
    line = max(1, round(2.5 * scale))
    left = max(0, min(corner[0] - line // 2 - 1, canvas.width - width))
    top = corner[1] - height if corner[1] >= height else max(0, corner[1])
    canvas.paste(strip, left, top)
