"""Warps pictures with coarse maps: a sampling position per node of a grid over the portrait."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.shared.pixels import Image

Floats = NDArray[np.float32]

# The grid's first node, its spacing in portrait pixels, and its rows and columns. The finest moving
# parts are the eyelids.
ORIGIN: Final = np.array([5.0, 75.0], np.float32)
STEP: Final = 6.0
ROWS, COLUMNS = 107, 106
NODES: Final = np.stack(
    np.meshgrid(np.arange(COLUMNS, dtype=np.float32), np.arange(ROWS, dtype=np.float32)), axis=-1
)
PLACES: Final = ORIGIN + STEP * NODES
WHOLE: Final = (slice(0, ROWS), slice(0, COLUMNS))
# The parts that an expression moves: head and neck.
MOVED: Final = (slice(1, 88), slice(20, 85))
SUBPIXEL_BITS = 4
NO_SECOND_MAP: Final = np.empty(0, np.float32)  # one map contains both coordinates


class Region(NamedTuple):
    """A rectangle of the frame: its top left pixel and its size."""

    left: int
    top: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the frame."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def __bool__(self) -> bool:
        return self.width > 0 and self.height > 0

    def within(self, other: "Region") -> "Region":
        """Return the intersection with another region."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right = min(self.left + self.width, other.left + other.width)
        bottom = min(self.top + self.height, other.top + other.height)
        return Region(left, top, max(0, right - left), max(0, bottom - top))

    def seen_from(self, other: "Region") -> tuple[slice, slice]:
        """Rows and columns of this region within another that contains it."""
        left, top = self.left - other.left, self.top - other.top
        return slice(top, top + self.height), slice(left, left + self.width)


@dataclass(frozen=True, slots=True)
class View:
    """The position of a portrait in the frame: its scale, and the position of its origin."""

    scale: float
    corner: tuple[float, float]

    def region(self, part: tuple[float, float, float, float], size: tuple[int, int]) -> Region:
        """Return the region of a part (left, top, right, bottom) in a frame of width and height.

        Its size is 0 if it is outside.
        """
        left, top, right, bottom = (
            min(max(0, round(at + self.scale * side)), limit)
            for side, at, limit in zip(part, self.corner * 2, size * 2, strict=True)
        )
        return Region(left, top, max(0, right - left), max(0, bottom - top))


class Triangles:
    """Interpolates values from points to the grid, over `triangles`, (T, 3).

    The points (P, 2) are in portrait pixels; triangles nearer to the camera come last. With `part`
    (rows and columns of the grid), only those nodes are computed.
    """

    def __init__(
        self, points: Floats, triangles: NDArray[np.int32], part: tuple[slice, slice] = WHOLE
    ) -> None:
        self._triangles = triangles
        self._nodes = NODES[part]
        first = self._nodes[0, 0]
        self._corners = ((points - ORIGIN) / np.float32(STEP))[triangles]
        self._areas = _areas(self._corners)
        self._ids = np.zeros(self._nodes.shape[:2], np.int32)
        fixed = np.rint((self._corners - first) * (1 << SUBPIXEL_BITS)).astype(np.int32)
        behind = self._areas < 0
        # Triangles seen from behind come first, so that the others hide them.
        for number in (*np.flatnonzero(behind).tolist(), *np.flatnonzero(~behind).tolist()):
            cv2.fillConvexPoly(self._ids, fixed[number], number, shift=SUBPIXEL_BITS)

    def interpolate(self, values: Floats) -> Floats:
        """Return the points' values (P, C) at the nodes, float32 (rows, columns, C)."""
        # Channels first, because NumPy is slow if the last axis is short.
        at = values.T[:, self._triangles]
        corners = self._corners.transpose(2, 1, 0)
        x, y = corners[:, 0]
        (ax, bx), (ay, by) = corners[:, 1:] - corners[:, :1]
        areas = np.where(np.abs(self._areas) < 1e-4, np.float32(1e-4), self._areas)
        da, db = at[..., 1] - at[..., 0], at[..., 2] - at[..., 0]
        slope_x, slope_y = (da * by - db * ay) / areas, (db * ax - da * bx) / areas
        start = at[..., 0] - slope_x * x - slope_y * y
        # A node can be slightly outside a triangle that is so thin that its plane is steep.
        planes = np.stack([slope_x, slope_y, start, at.min(axis=2), at.max(axis=2)])
        by_x, by_y, flat, low, high = planes.take(self._ids, axis=2)
        flat += by_x * self._nodes[..., 0]
        flat += by_y * self._nodes[..., 1]
        found = np.minimum(np.maximum(flat, low), high)
        return np.ascontiguousarray(found.transpose(1, 2, 0))


def sampled(field: Floats, nodes: Floats) -> Floats:
    """Return a field on the grid, (ROWS, COLUMNS, C), at positions (H, W, 2) in nodes."""
    at = cv2.remap(field, nodes, NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(at, np.float32)


def inverted(shift: Floats) -> Floats:
    """Return the source position of each node if everything moves by `shift`; in nodes."""
    source = NODES - shift
    for _ in range(2):
        source = NODES - sampled(shift, source)
    return source


def enlarged(field: Floats, region: Region, view: View, origin: tuple[int, int]) -> Floats:
    """Return the source position in a picture for each pixel of the region, float32 (H, W, 2).

    `field` is the source position in the portrait minus the node's own position; outside the grid,
    the value at its edge applies. `origin` is the picture's position in the portrait.
    """
    scale, corner = view.scale, view.corner
    # Finer than the grid, and a whole number of pixels: `resize` then costs a fraction of
    # `warpAffine` for every pixel.
    step = max(2, round(scale * STEP / 1.5))
    # At the centers of squares of pixels, with one extra square on each side of the region.
    size = (region.width // step + 3, region.height // step + 3)
    first = (np.array([region.left, region.top]) - (step + 1) / 2 - corner) / scale
    apart = step / scale
    matrix = np.array([[apart, 0, first[0]], [0, apart, first[1]]])
    inverse = (matrix - np.array([[0, 0, ORIGIN[0]], [0, 0, ORIGIN[1]]])) / STEP
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(field, inverse, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    coarse = np.asarray(warped, np.float32)
    first -= origin
    coarse[..., 0] += (first[0] + apart * np.arange(size[0])).astype(np.float32)
    coarse[..., 1] += (first[1] + apart * np.arange(size[1])).astype(np.float32)[:, None]
    fine = cv2.resize(coarse, (step * size[0], step * size[1]), interpolation=cv2.INTER_LINEAR)
    inside = fine[step : step + region.height, step : step + region.width]
    return np.asarray(inside, np.float32)


def looked_up(picture: Image, where: Floats) -> Image:
    """Return a picture sampled at `where`, (H, W, 2)."""
    drawn = cv2.remap(
        picture, where, NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(drawn, np.uint8)


@dataclass(frozen=True, slots=True)
class Layer:
    """A piece of a picture, uint8 (H, W, 3), ready to be drawn in a frame at its region.

    It is premultiplied. `keep` is how much of the background is visible, from 0 to 255; None means
    that the layer is opaque.
    """

    region: Region
    color: Image
    keep: Image | None

    def paste(self, frame: Image) -> None:
        """Draw the layer in the frame."""
        under = frame[self.region.slices]
        if self.keep is None:
            under[:] = self.color
        else:
            cv2.add(cv2.multiply(under, self.keep, scale=1 / 255), self.color, dst=under)


def layers(region: Region, drawn: Image, opaque: Region) -> list[Layer]:
    """Return a premultiplied BGRA picture of the region's size as layers.

    `opaque` is its opaque part, which costs less to draw; its size may be 0.
    """
    opaque = opaque.within(region)
    if not opaque:
        opaque = Region(region.left, region.top, 0, 0)
    color = np.asarray(cv2.cvtColor(drawn, cv2.COLOR_BGRA2BGR), np.uint8)
    below, right = opaque.top + opaque.height, opaque.left + opaque.width
    bottom, end = region.top + region.height, region.left + region.width
    found = [Layer(opaque, color[opaque.seen_from(region)], None)]
    for piece in (
        Region(region.left, region.top, region.width, opaque.top - region.top),
        Region(region.left, opaque.top, opaque.left - region.left, opaque.height),
        Region(right, opaque.top, end - right, opaque.height),
        Region(region.left, below, region.width, bottom - below),
    ):
        if piece:
            at = piece.seen_from(region)
            keep = cv2.cvtColor(cv2.bitwise_not(drawn[at][..., 3]), cv2.COLOR_GRAY2BGR)
            found.append(Layer(piece, color[at], np.asarray(keep, np.uint8)))
    return [one for one in found if one.region]


def _areas(corners: Floats) -> Floats:
    """Return twice the area of each triangle (T, 3, 2), negative if seen from behind."""
    (ax, ay), (bx, by) = ((corners[:, k] - corners[:, 0]).T for k in (1, 2))
    return np.asarray(ax * by - ay * bx, np.float32)
