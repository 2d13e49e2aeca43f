"""What callers hand over as faces, brought to gray uint8 (N, H, W) or colour (N, H, W, 3)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.shared.errors import ModelError

Bytes: TypeAlias = NDArray[np.uint8]
TO_GRAY = {3: cv2.COLOR_BGR2GRAY, 4: cv2.COLOR_BGRA2GRAY}


def gray(faces: NDArray[Any]) -> Bytes:
    """Return gray uint8 (N, H, W) for uint8 (N, H, W) or (N, H, W, C).

    C is 1 (gray), 3 (BGR) or 4 (BGRA, whose alpha is ignored). ModelError for anything else.
    """
    _check(faces)
    if faces.ndim == 3:
        return faces
    count, height, width, channels = faces.shape
    if channels == 1 or count == 0:
        return faces[..., 0]
    rows = np.ascontiguousarray(faces).reshape(count * height, width, channels)
    return np.asarray(cv2.cvtColor(rows, TO_GRAY[channels]).reshape(count, height, width), np.uint8)


def colour(faces: NDArray[Any]) -> Bytes:
    """Return BGR uint8 (N, H, W, 3) for what `gray` takes; gray ones get three equal channels."""
    _check(faces)
    if faces.ndim == 3:
        faces = faces[..., None]
    if faces.shape[3] == 1:
        return np.repeat(faces, 3, axis=3)
    return faces[..., :3]


def by_size(
    faces: Sequence[NDArray[Any]], pixels: Callable[[NDArray[Any]], Bytes] = gray
) -> list[tuple[list[int], Bytes]]:
    """Group single faces (H, W) or (H, W, C) of different sizes: their indices and (N, H, W[, 3]).

    `pixels` is `gray` or `colour`.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    images = [pixels(np.asarray(face)[None]) for face in faces]
    for index, image in enumerate(images):
        groups.setdefault(image.shape, []).append(index)
    return [(chosen, np.concatenate([images[i] for i in chosen])) for chosen in groups.values()]


def _check(faces: NDArray[Any]) -> None:
    if faces.dtype != np.uint8:
        raise ModelError(f"faces are {faces.dtype}: give uint8, 0 to 255")
    if _one_picture(faces.shape):
        raise ModelError(
            f"faces have shape {faces.shape}: give (N, H, W), also for one: face[None]"
        )
    if faces.ndim not in (3, 4) or (faces.ndim == 4 and faces.shape[3] not in (1, 3, 4)):
        raise ModelError(f"faces have shape {faces.shape}: give (N, H, W) or (N, H, W, 3)")
    if 0 in faces.shape[1:]:
        raise ModelError(f"faces have shape {faces.shape}, that is no pixels: skip empty crops")


def _one_picture(shape: tuple[int, ...]) -> bool:
    """Say whether a shape is that of one picture, (H, W) or (H, W, C), instead of a batch."""
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in TO_GRAY and shape[1] != shape[2])
