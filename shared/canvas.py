"""Drawing surfaces for boxes and labels: BGR pictures, and the I420 planes of video."""

import functools
from typing import Final, Protocol

import cv2
import numpy as np

from emostream.shared.colors import Color
from emostream.shared.pixels import Image

Corners = tuple[int, int, int, int]
# The number of cached color conversions.
KEPT_COLORS: Final = 64


class Canvas(Protocol):
    """A picture of `width` x `height` pixels that is drawn on in place."""

    width: int
    height: int

    def rectangle(self, corners: Corners, color: Color, line: int) -> None:
        """Draw a rectangle (left, top, right, bottom), `line` pixels wide, in a BGR color."""

    def paste(self, strip: Image, left: int, top: int) -> None:
        """Paste a small picture, uint8 (height, width, 3) BGR, clipped at the edges."""


class BgrCanvas:
    """A picture, uint8 (height, width, 3) BGR."""

    def __init__(self, pixels: Image) -> None:
        self._pixels = pixels
        self.height, self.width = pixels.shape[:2]

    def rectangle(self, corners: Corners, color: Color, line: int) -> None:
        """Draw a frame; see `Canvas`."""
        cv2.rectangle(self._pixels, corners[:2], corners[2:], color, line)

    def paste(self, strip: Image, left: int, top: int) -> None:
        """Paste a small picture; see `Canvas`."""
        _paste(self._pixels, strip, left, top)


class PlanesCanvas:
    """A picture as I420: uint8 (3/2 x height, width), even sides, BT.601 in limited range.

    The Y, U and V planes are drawn on separately (U and V at half the size), so that no picture has
    to be converted.
    """

    def __init__(self, planes: Image) -> None:
        self.height, self.width = planes.shape[0] * 2 // 3, planes.shape[1]
        self._planes = split_planes(planes)

    def rectangle(self, corners: Corners, color: Color, line: int) -> None:
        """Draw a frame; see `Canvas`."""
        for plane, value, half in zip(self._planes, _planes_of(color), (1, 2, 2), strict=True):
            left, top, right, bottom = (at // half for at in corners)
            width = max(1, round(line / half))
            cv2.rectangle(plane, (left, top), (right, bottom), value, width)

    def paste(self, strip: Image, left: int, top: int) -> None:
        """Paste a small picture, with color at half resolution; see `Canvas`."""
        height, width = strip.shape[:2]
        brightness, *differences = split_planes(to_planes(strip))
        _paste(self._planes[0], brightness[:height, :width], left, top)
        for plane, part in zip(self._planes[1:], differences, strict=True):
            _paste(plane, part, left // 2, top // 2)


def to_planes(image: Image) -> Image:
    """Return a picture, uint8 (height, width, 3) BGR, as I420, uint8 (3/2 x height, width).

    Odd sides are padded to even ones.
    """
    down, right = image.shape[0] % 2, image.shape[1] % 2
    if down or right:
        padded = cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REPLICATE)
        image = np.asarray(padded, np.uint8)
    # Takes a fifth of the time of FFmpeg's own conversion.
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)


def split_planes(planes: Image) -> tuple[Image, Image, Image]:
    """Return the Y, U and V planes of an I420 picture, as views."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    flat, size = planes.reshape(-1), height * width
    half = (height // 2, width // 2)
    blue, red = flat[size : size * 5 // 4], flat[size * 5 // 4 :]
    return flat[:size].reshape(height, width), blue.reshape(half), red.reshape(half)


@functools.lru_cache(KEPT_COLORS)
def _planes_of(color: Color) -> tuple[int, int, int]:
    brightness, blue, red = split_planes(to_planes(np.full((2, 2, 3), color, np.uint8)))
    return int(brightness[0, 0]), int(blue[0, 0]), int(red[0, 0])


def _paste(pixels: Image, part: Image, left: int, top: int) -> None:
    room = pixels[top : top + part.shape[0], left : left + part.shape[1]]
    room[:] = part[: room.shape[0], : room.shape[1]]
