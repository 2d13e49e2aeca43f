"""Rotates pictures upright by the display matrix of their file."""

from typing import Any, TypeAlias

import av
import cv2
import numpy as np

from emostream.shared.pixels import Image

# Maps a point (x, y) of the picture, with y downward, to (a x + c y, b x + d y).
Matrix: TypeAlias = tuple[int, int, int, int]

DISPLAY_MATRIX = "DISPLAYMATRIX"
QUARTER_TURNS: tuple[Matrix, ...] = ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))


class Orientation:
    """Rotates a file's pictures by quarter turns and mirrors them by their display matrix.

    Phones write this matrix instead of rotating the pixels (ISO/IEC 14496-12, 6.2.2).
    """

    def __init__(self) -> None:
        self._seen: object = None
        self._matrix = QUARTER_TURNS[0]

    @property
    def turned(self) -> bool:
        """Whether width and height of the last picture were swapped."""
        a, b, c, d = self._matrix
        return abs(b) + abs(c) > abs(a) + abs(d)

    def is_upright(self, frame: av.VideoFrame) -> bool:
        """Whether the frame is displayed as stored."""
        a, b, c, d = self._read(frame)
        return not (b or c) and a > 0 and d > 0

    def apply(self, pixels: Any, frame: av.VideoFrame) -> Image:
        """Return the frame's pixels as displayed, contiguous."""
        a, b, c, d = self._read(frame)
        if self.turned:
            pixels, a, d = cv2.transpose(pixels), c, b
        if a < 0 or d < 0:
            pixels = cv2.flip(pixels, -1 if a < 0 and d < 0 else int(a < 0))
        return np.ascontiguousarray(pixels, np.uint8)

    def _read(self, frame: av.VideoFrame) -> Matrix:
        now = (frame.rotation, frame.width, frame.height)
        # PyAV frees a frame whose side data was read only in the garbage collector, so this is not
        # done for every frame.
        if now != self._seen:
            self._seen, self._matrix = now, _matrix(frame)
        return self._matrix


def _matrix(frame: av.VideoFrame) -> Matrix:
    try:
        side_data: Any = frame.side_data
    except ValueError:
        # PyAV cannot list those of a frame that has one of a kind it does not know, such as EXIF;
        # it still gives the angle, counterclockwise, though not whether the picture is mirrored.
        return QUARTER_TURNS[round(frame.rotation / 90) % 4]
    if DISPLAY_MATRIX not in side_data:
        return QUARTER_TURNS[0]
    a, b, _, c, d = np.frombuffer(side_data[DISPLAY_MATRIX], np.int32)[:5].tolist()
    return a, b, c, d
