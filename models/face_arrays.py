"""Checks arrays of faces from callers, and converts them to gray or BGR batches."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emostream.shared.errors import ModelError
from emostream.shared.pixels import Image

COLOR_CHANNELS: Final = (3, 4)  # BGR and BGRA


def to_gray(faces: NDArray[Any]) -> Image:
    """Return gray uint8 (N, H, W) for uint8 (N, H, W) or (N, H, W, C).

    C is 1 (gray), 3 (BGR) or 4 (BGRA, whose alpha is ignored). Raises ModelError for anything else.
    """
    _check(faces)
    if faces.ndim == 3:
        return faces
    count, height, width, channels = faces.shape
    if channels == 1 or count == 0:
        return faces[..., 0]
    # Imported here, because the pipeline's crops are already gray.
    import cv2

    conversion = cv2.COLOR_BGR2GRAY if channels == 3 else cv2.COLOR_BGRA2GRAY
    rows = np.ascontiguousarray(faces).reshape(count * height, width, channels)
    return np.asarray(cv2.cvtColor(rows, conversion).reshape(count, height, width), np.uint8)


def to_bgr(faces: NDArray[Any]) -> Image:
    """Return BGR uint8 (N, H, W, 3) for the same inputs as `to_gray`; gray becomes BGR."""
    _check(faces)
    if faces.ndim == 3:
        faces = faces[..., None]
    if faces.shape[3] == 1:
        return np.repeat(faces, 3, axis=3)
    return faces[..., :3]


def group_by_size(
    faces: Sequence[NDArray[Any]], convert: Callable[[NDArray[Any]], Image] = to_gray
) -> list[tuple[list[int], Image]]:
    """Group single faces (H, W) or (H, W, C) by size: their indices and (N, H, W[, 3]).

    `convert` is `to_gray` or `to_bgr`.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    images = [convert(np.asarray(face)[None]) for face in faces]
    for index, image in enumerate(images):
        groups.setdefault(image.shape, []).append(index)
    return [(chosen, np.concatenate([images[i] for i in chosen])) for chosen in groups.values()]


def _check(faces: NDArray[Any]) -> None:
    if faces.dtype != np.uint8:
        raise ModelError(f"faces are {faces.dtype}: give uint8, 0 to 255")
    if _is_single_image(faces.shape):
        raise ModelError(
            f"faces have shape {faces.shape}: give (N, H, W), even for a single face: face[None]"
        )
    if faces.ndim not in (3, 4) or (faces.ndim == 4 and faces.shape[3] not in (1, 3, 4)):
        raise ModelError(f"faces have shape {faces.shape}: give (N, H, W) or (N, H, W, 3)")
    if 0 in faces.shape[1:]:
        raise ModelError(f"faces have shape {faces.shape}, which has no pixels: skip empty crops")


def _is_single_image(shape: tuple[int, ...]) -> bool:
    """Return whether a shape is that of one image, (H, W) or (H, W, C), instead of a batch."""
    return len(shape) == 2 or (
        len(shape) == 3 and shape[2] in COLOR_CHANNELS and shape[1] != shape[2]
    )
