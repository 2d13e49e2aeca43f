"""Pictures as coded in video, converted to BGR only where needed."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import cv2
import numpy as np

from emostream.models.alignment import Located, align
from emostream.services.detector.resampling import half, halved
from emostream.shared.canvas import split_planes
from emostream.shared.pixels import Image

# Video luma is in 16 to 235 (BT.601 in limited range), while gray crops start at 0.
FULL_RANGE: Final = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


class Planes:
    """An I420 picture, uint8 (3/2 x height, width); `shape` is its height and width."""

    def __init__(self, planes: Image) -> None:
        self.luma, self._blue, self._red = split_planes(planes)
        self.shape: tuple[int, ...] = self.luma.shape

    def bgr(self, x: int, y: int, width: int, height: int) -> Image:
        """Return a region in BGR, uint8 (height, width, 3)."""
        # Each block of 2 x 2 pixels shares its color.
        left, top = x // 2, y // 2
        right, bottom = -(-(x + width) // 2), -(-(y + height) // 2)
        part = np.s_[top:bottom, left:right]
        luma = self.luma[2 * top : 2 * bottom, 2 * left : 2 * right]
        picture = _converted(luma, self._blue[part], self._red[part])
        return picture[y - 2 * top :, x - 2 * left :][:height, :width]

    def reduced(self, side: int) -> Image:
        """Return the picture in BGR, halved while its longer side stays at least 2 x `side`."""
        luma, blue, red = self.luma, self._blue, self._red
        while max(luma.shape) >= 2 * side and not any(length % 4 for length in luma.shape):
            luma, blue, red = (half(plane) for plane in (luma, blue, red))
        return halved(_converted(luma, blue, red), side)


Picture: TypeAlias = Image | Planes


def cut(picture: Picture, x: int, y: int, width: int, height: int) -> Image:
    """Return a region of the picture in BGR, uint8 (height, width, 3)."""
    if isinstance(picture, Planes):
        return picture.bgr(x, y, width, height)
    return picture[y : y + height, x : x + width]


def aligned(picture: Picture, faces: Sequence[Located]) -> Image:
    """Return the crops of the faces, like `alignment.align`."""
    if isinstance(picture, Planes):
        return FULL_RANGE.take(align(picture.luma, faces))
    return align(picture, faces)


def _converted(luma: Image, blue: Image, red: Image) -> Image:
    planes = np.empty((luma.shape[0] * 3 // 2, luma.shape[1]), np.uint8)
    for target, plane in zip(split_planes(planes), (luma, blue, red), strict=True):
        target[:] = plane
    picture = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420)
    return np.asarray(picture, np.uint8)
