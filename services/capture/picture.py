"""A picture from a source, and the conversion from camera and file formats."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.shared.errors import SourceError
from emostream.shared.pixels import Image


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a source.

    `pixels` is uint8 (height, width, 3) in BGR order, contiguous and not shared; from a file, with
    `planar`, it may be I420, uint8 (3/2 x height, width), in BT.601. `pts` is its source time in
    ns, 0 for the first; `t` is its capture time in ns since the epoch; `pixel_aspect` is pixel
    width divided by height.
    """

    pixels: Image
    pts: int
    t: int = 0
    pixel_aspect: Fraction = Fraction(1)

    @property
    def is_planar(self) -> bool:
        """Whether the pixels are I420."""
        return self.pixels.ndim == 2

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        rows, width = self.pixels.shape[:2]
        return width, rows * 2 // 3 if self.is_planar else rows


Pictures: TypeAlias = Generator[Picture, None, None]

# Called with a line that says which picture was skipped, and why.
OnSkip: TypeAlias = Callable[[str], None]


def as_bgr(array: NDArray[Any]) -> Image:
    """Return a gray, BGR or BGRA array with 8 or 16 bits as uint8 (height, width, 3).

    Raises SourceError for anything else.
    """
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    channels = 1 if array.ndim == 2 else array.shape[-1]
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or not array.size:
        raise SourceError(f"not a picture: {array.dtype} of shape {array.shape}")
    if channels == 1:
        return np.asarray(cv2.cvtColor(array, cv2.COLOR_GRAY2BGR), np.uint8)
    if channels not in (3, 4):
        raise SourceError(f"not a picture: {channels} channels instead of 1, 3 or 4")
    return np.ascontiguousarray(array[..., :3], np.uint8)
