"""Converts pictures from programs (a file's path or an array) to pixels in BGR order."""

from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.shared.errors import SourceError
from emostream.shared.pixels import Image
from emostream.shared.still_image import decode_still, read_still

Channels: TypeAlias = Literal["bgr", "rgb", "gray", "bgra", "rgba"]

TO_BGR: Final = {
    "gray": cv2.COLOR_GRAY2BGR,
    "rgb": cv2.COLOR_RGB2BGR,
    "bgra": cv2.COLOR_BGRA2BGR,
    "rgba": cv2.COLOR_RGBA2BGR,
}


def as_picture(image: str | Path | NDArray[Any], channels: Channels | None) -> Image:
    """Return a picture as contiguous uint8 (H, W, 3) in BGR order.

    A path takes no `channels`; an array needs them. Raises SourceError for an invalid picture.
    """
    if not isinstance(image, str | Path):
        return from_array(np.asarray(image), channels)
    if channels is not None:
        raise SourceError(f"{image}: omit `channels` for a file")
    path = Path(image)
    return decode_still(read_still(path), str(path))


def from_array(array: NDArray[Any], channels: str | None) -> Image:
    """Return an array uint8 (H, W) or (H, W, C) with named channels in BGR order.

    Raises SourceError if the array is not a picture, or does not match the channels.
    """
    if channels is None:
        raise SourceError(
            'an array needs its channel order: channels="bgr" (as OpenCV reads),'
            ' "rgb" (as Pillow reads), "bgra", "rgba" or "gray"'
        )
    if channels not in get_args(Channels):
        raise SourceError(f"no channels {channels!r}: choose {', '.join(get_args(Channels))}")
    if array.dtype != np.uint8:
        raise SourceError(f"the array is {array.dtype}: give uint8, 0 to 255")
    count = 1 if channels == "gray" else len(channels)
    fits = array.shape[2:] == (count,) or (channels == "gray" and array.ndim == 2)
    if not fits:
        wanted = "(H, W)" if channels == "gray" else f"(H, W, {count})"
        raise SourceError(
            f'the array has shape {array.shape}, but channels="{channels}" wants {wanted}'
        )
    if not array.size:
        raise SourceError(f"the array has shape {array.shape}, which has no pixels")
    whole = np.ascontiguousarray(array)
    return whole if channels == "bgr" else np.asarray(cv2.cvtColor(whole, TO_BGR[channels]))
