"""Draws results on a picture: boxes, labels and confidences."""

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
# Font sizes in pixels: for a picture of 1280 x 720, and the smallest legible one.
FONT_SIZE: Final = 18
SMALLEST_FONT: Final = 11


def label_and_confidence(face: EmotionFace) -> str:
    """Return the text for a face: `happiness 93%`."""
    return f"{face.label} {face.confidence:.0%}"


def annotate(
    image: Image,
    faces: Sequence[EmotionFace],
    text: Callable[[EmotionFace], str] = label_and_confidence,
) -> Image:
    """Return a copy of the picture with each face's box and text drawn on it.

    `image` is uint8 (height, width, 3) in BGR order and may be read-only. Boxes may extend beyond
    the picture. Lines and text scale with the picture. A face of low quality gets only a thin gray
    box; a face whose track has not entered gets none.
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
    # The dark outline keeps a bright box visible on a bright background.
    canvas.rectangle(corners, OUTLINE, line + 2)
    canvas.rectangle(corners, color, line)
    _label(canvas, text, corners[:2], color, scale)


def _corners(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom, limited to the range that OpenCV can draw."""
    x, y, across, down = box
    left, right = (round(min(max(at, -width), 2.0 * width)) for at in (x, x + across))
    top, bottom = (round(min(max(at, -height), 2.0 * height)) for at in (y, y + down))
    return left, top, right, bottom


def _label(canvas: Canvas, text: str, corner: tuple[int, int], color: Color, scale: float) -> None:
    """Write the text on a filled strip above the corner, or below it at the edge of the picture."""
    strip = label_strip(text, max(SMALLEST_FONT, round(FONT_SIZE * scale)), color)
    height, width = strip.shape[:2]
    line = max(1, round(2.5 * scale))
    left = max(0, min(corner[0] - line // 2 - 1, canvas.width - width))
    top = corner[1] - height if corner[1] >= height else max(0, corner[1])
    canvas.paste(strip, left, top)
