"""Warps pictures from the points of one shape to those of another."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from emostream.models.demo_pictures.face_mesh import HEIGHT, MIDDLE, WIDTH
from emostream.models.demo_pictures.vertices import CHIN, RIM

Floats = NDArray[np.float32]

# Rings continue the shape beyond the mesh; far away, nothing moves.
NO_SECOND_MAP = np.empty(0, np.float32)  # one map contains both coordinates
RINGS = (1.25, 1.9)
FAR = np.array(
    [(x, y) for x in (-300, WIDTH / 2, WIDTH + 300) for y in (-300, HEIGHT / 2, HEIGHT + 300)],
    np.float32,
)[[0, 1, 2, 3, 5, 6, 7, 8]]


def surroundings(shape: Floats) -> Floats:
    """Return points around a shape (468, 2 or 3) of the canvas, float32 (P, 2)."""
    center = np.array([MIDDLE[0], shape[[RIM[0], CHIN], 1].mean()], np.float32)
    rim = shape[list(RIM), :2]
    return np.vstack([center + (rim - center) * np.float32(ring) for ring in RINGS] + [FAR])


def extended(shape: Floats) -> Floats:
    """Return the points of the shape and around it, float32 (468 + P, 2)."""
    return np.vstack([shape[:, :2], surroundings(shape)]).astype(np.float32)


def spanned(shape: Floats) -> NDArray[np.int32]:
    """Return triangles (T, 3) over the extended shape."""
    return np.asarray(Delaunay(extended(shape)).simplices, np.int32)


def look_up(source: Floats, target: Floats, triangles: NDArray[np.int32]) -> Floats:
    """Return the source position of each canvas pixel, (HEIGHT, WIDTH, 2)."""
    ids = np.zeros((HEIGHT, WIDTH), np.int32)
    for number, corners in enumerate(np.rint(target[triangles] * 16).astype(np.int32)):
        cv2.fillConvexPoly(ids, corners, number, shift=4)
    pairs = zip(target[triangles], source[triangles], strict=True)
    back = np.array([cv2.getAffineTransform(to, at) for to, at in pairs], np.float32)[ids]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    where = back[..., 0] * x[..., None] + back[..., 1] * y[..., None] + back[..., 2]
    return np.asarray(where, np.float32)


def bent(picture: Floats, shape: Floats, target: Floats) -> Floats:
    """Return a canvas picture warped to the shape `target`."""
    where = look_up(extended(shape), extended(target), spanned(target))
    return np.asarray(
        cv2.remap(picture, where, NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )
