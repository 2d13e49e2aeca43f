"""The room behind the demo's people, far out of focus."""

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.shared.pixels import Image

Floats = NDArray[np.float32]

WALL_TOP, WALL_BOTTOM = (128, 134, 138), (82, 90, 98)
# The furniture: left, top, right, bottom in shares of the picture, and BGR.
THINGS = (
    ((-0.05, -0.05, 0.20, 0.62), (206, 208, 200)),
    ((0.075, -0.05, 0.085, 0.62), (140, 146, 148)),
    ((-0.05, 0.26, 0.20, 0.28), (140, 146, 148)),
    ((0.62, 0.08, 0.97, 0.11), (62, 78, 96)),
    ((0.62, 0.36, 0.97, 0.39), (62, 78, 96)),
    ((0.62, 0.64, 0.97, 0.67), (62, 78, 96)),
    ((0.34, 0.12, 0.50, 0.38), (104, 98, 84)),
    ((0.36, 0.145, 0.48, 0.355), (150, 150, 140)),
    ((-0.05, 0.86, 1.05, 1.05), (54, 62, 74)),
)
SHELVES, SHELF_LEFT, SHELF_RIGHT = (0.36, 0.64), 0.635, 0.955
# The table: its share of the height, where it is opaque, and its color.
TABLE, EDGE, TABLE_COLOR = 0.17, 0.35, (46, 60, 82)
# The blur, as a share of the height, and the noise that prevents banding in gradients.
BLUR, NOISE = 0.022, 1.2


def background(width: int, height: int, seed: int) -> Image:
    """Return the room, uint8 (height, width, 3) BGR; the seed arranges the shelves."""
    rng = np.random.default_rng(seed)
    # Out of focus, a quarter of the resolution is enough.
    small = _room(max(16, width // 4), max(9, height // 4), rng)
    room = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    room = room + rng.standard_normal((height, width, 1), np.float32) * np.float32(NOISE)
    return np.asarray(cv2.convertScaleAbs(room), np.uint8)


def table(width: int, height: int) -> Image:
    """Return the table in front of the people, out of focus.

    The result is premultiplied BGRA, uint8 (rows, width, 4), for the lowest rows of the frame. It
    is transparent above `EDGE` of its height.
    """
    rows = max(2, round(TABLE * height))
    down = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]
    across = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    alpha = np.clip(down / EDGE, 0, 1)
    alpha = alpha * alpha * (3 - 2 * alpha)
    color = np.array(TABLE_COLOR, np.float32) * (1.15 - 0.4 * down) * (1.1 - 0.35 * across)
    opaque = np.concatenate([color, np.full_like(color[..., :1], 255)], axis=2)
    return np.asarray(np.rint(alpha * opaque), np.uint8)


def _room(width: int, height: int, rng: np.random.Generator) -> Floats:
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    room = np.empty((height, width, 3), np.float32)
    room[:] = (1 - ramp) * np.array(WALL_TOP) + ramp * np.array(WALL_BOTTOM)
    for box, color in THINGS:
        _fill(room, box, color)
    for shelf in SHELVES:
        _fill_shelf(room, shelf, rng)
    room = np.asarray(cv2.GaussianBlur(room, (0, 0), max(0.5, BLUR * height)), np.float32)
    # Light falls in through the window on the left.
    across = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    return np.asarray(room * (0.86 - 0.34 * across - 0.12 * ramp), np.float32)


def _fill(
    room: Floats, box: tuple[float, float, float, float], color: tuple[float, float, float]
) -> None:
    height, width = room.shape[:2]
    left, top, right, bottom = (
        max(0, round(share * side)) for share, side in zip(box, (width, height) * 2, strict=True)
    )
    room[top:bottom, left:right] = color


def _fill_shelf(room: Floats, bottom: float, rng: np.random.Generator) -> None:
    """Books of several heights and dull colors, with gaps."""
    left = SHELF_LEFT
    while left < SHELF_RIGHT:
        wide, high = rng.uniform(0.008, 0.022), rng.uniform(0.12, 0.22)
        color = rng.uniform(50, 140) * rng.uniform(0.75, 1.25, 3)
        if rng.random() < 0.8:
            box = (left, bottom - high, min(left + wide, SHELF_RIGHT), bottom)
            _fill(room, box, (color[0], color[1], color[2]))
        left += wide
