"""Labels as small pictures in a TrueType font, each rendered once."""

import functools
from importlib.resources import files
from typing import Final

import numpy as np
from PIL import ImageFont

from emostream.shared.colors import Color, text_color
from emostream.shared.pixels import Image

# OpenCV's Linux packages include DejaVu Sans (for Qt), with Latin, Greek and Cyrillic letters.
BUNDLED_FONT: Final = ("qt", "fonts", "DejaVuSans.ttf")
# A longer name is not more helpful, and would make the picture arbitrarily wide.
LONGEST_TEXT: Final = 80
# Eight labels with every percentage, at one size.
KEPT_STRIPS: Final = 1024
# No complex text layout, which costs ten times as much.
BASIC: Final = ImageFont.Layout.BASIC


@functools.lru_cache(KEPT_STRIPS)
def label_strip(text: str, size: int, color: Color) -> Image:
    """Return the text on a strip of the color, in black or white, whichever is more legible.

    `size` is the font size in pixels. The strip is uint8 (height, width, 3) BGR and read-only; all
    strips of one size have the same height.
    """
    font = _font(size)
    ascent, descent = font.getmetrics()
    mask, (x, y) = font.getmask2(text[:LONGEST_TEXT], "L")
    width, height = mask.size
    letters = np.frombuffer(bytes(mask), np.uint8).reshape(height, width)
    across, down = max(3, size // 3), max(2, size // 6)
    cover = np.zeros((ascent + descent + 2 * down, x + width + 2 * across, 1), np.float32)
    room = cover[down + y : down + y + height, across + x : across + x + width, 0]
    room[:] = letters[: room.shape[0], : room.shape[1]] / 255
    ground, ink = np.array(color, np.float32), np.array(text_color(color), np.float32)
    strip: Image = np.rint(ground + cover * (ink - ground)).astype(np.uint8)
    strip.flags.writeable = False
    return strip


@functools.lru_cache(8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font; if OpenCV includes none, Pillow's own, which has fewer letters."""
    bundled = files("cv2").joinpath(*BUNDLED_FONT)
    if bundled.is_file():
        return ImageFont.truetype(str(bundled), size, layout_engine=BASIC)
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels include FreeType
    return font
