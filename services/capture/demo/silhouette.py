"""The silhouette of a sprite: its extent, and an opaque part."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.services.capture.demo.pictures import Sprite

Floats = NDArray[np.float32]
# Left, top, right, bottom in pixels of the portrait.
Part: TypeAlias = tuple[float, float, float, float]

ROWS_APART = 16  # of what is looked at
# Expressions and the shape of a person's face slightly move the areas between the points.
SLACK = 8.0


def outline(sprites: list[Sprite], top: float, bottom: float) -> Floats:
    """Return points on the left and right outline of all sprites together, (N, 2)."""
    shown = np.maximum.reduce([sprite.pixels[..., 3] for sprite in sprites]) > 0
    rows, lefts, rights = _extents(shown, sprites[0], top, bottom)
    return np.concatenate([np.stack([x, rows], axis=1) for x in (lefts, rights)])


def opaque(sprites: list[Sprite], top: float, bottom: float) -> Part:
    """Return the largest rectangle in which every sprite is opaque."""
    hides = np.minimum.reduce([sprite.pixels[..., 3] for sprite in sprites]) == 255
    column = hides.shape[1] // 2
    # The run of opaque pixels around the middle column.
    before, after = ~hides[:, column::-1], ~hides[:, column:]
    left = column - np.where(before.any(axis=1), before.argmax(axis=1), column + 1) + 1
    right = column + np.where(after.any(axis=1), after.argmax(axis=1), after.shape[1])
    x, y = sprites[0].at
    first, last = round(top - y), round(bottom - y)
    best, most = (0.0, 0.0, 0.0, 0.0), 0
    for start in range(first, last, ROWS_APART):
        for end in range(start + ROWS_APART, last + 1, ROWS_APART):
            one, other = left[start:end].max(), right[start:end].min()
            if (area := int(other - one) * (end - start)) > most:
                most, best = area, (float(x + one), y + start, float(x + other), y + end)
    return best


def covered(sprite: Sprite, top: float, bottom: float, moves: float) -> tuple[Part, Part]:
    """Return the area that a sprite covers between two rows, and its opaque part.

    Both are valid even if the sprite's content moves by `moves` pixels.
    """
    left, _, right, _ = bounds(outline([sprite], top, bottom))
    hides = within(corners(opaque([sprite], top - moves, bottom)), moves)
    return (left, top, right, bottom), hides


def bounds(points: Floats) -> Part:
    """Return the bounds of moved outline points, (N, 2)."""
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return left - SLACK, top - SLACK, right + SLACK, bottom + SLACK


def corners(part: Part) -> Floats:
    """Return the corners of a part, (4, 2): left top, right top, left bottom, right bottom."""
    left, top, right, bottom = part
    return np.array([(x, y) for y in (top, bottom) for x in (left, right)], np.float32)


def within(moved: Floats, slack: float = SLACK) -> Part:
    """Return a part inside the moved `corners`, with a margin of `slack` pixels."""
    x, y = moved[:, 0].tolist(), moved[:, 1].tolist()
    return (
        max(x[0], x[2]) + slack,
        max(y[0], y[1]) + slack,
        min(x[1], x[3]) - slack,
        min(y[2], y[3]) - slack,
    )


def _extents(
    shown: NDArray[np.bool_], sprite: Sprite, top: float, bottom: float
) -> tuple[Floats, Floats, Floats]:
    """Return rows, and the first and last visible pixel around each, in portrait pixels."""
    x, y = sprite.at
    rows = shown[round(top - y) : round(bottom - y)]
    bands = [rows[k : k + ROWS_APART].any(axis=0) for k in range(0, len(rows), ROWS_APART)]
    found = [
        (top + k * ROWS_APART, x + columns[0], x + columns[-1] + 1)
        for k, band in enumerate(bands)
        for columns in [np.flatnonzero(band)]
        if len(columns)
    ]
    at, lefts, rights = np.array(found, np.float32).reshape(-1, 3).T
    return at, lefts, rights
