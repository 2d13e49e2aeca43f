"""Overlapping tiles of a frame, in which small faces are large enough to be found."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from emostream.services.detector.detection import (
    Detection,
    FaceDetector,
    Floats,
    as_boxes,
    containments,
    suppress,
)
from emostream.services.detector.planes import Picture, cut
from emostream.shared.fields import MOST_FACES
from emostream.shared.messages import Box, Point
from emostream.shared.pixels import Image

# Left, top, width and height in frame pixels.
Region: TypeAlias = tuple[int, int, int, int]

OVERLAP = 0.2
ZOOM = 4.0
MIN_REGION = 96
EVEN = 8  # a side can be halved three times; OpenCV halves even sides several times as fast
SAME_FACE = 0.5


@dataclass(frozen=True, slots=True)
class Tiling:
    """Chooses the regions that are searched in addition to the full frame.

    Each of `count` overlapping tiles is searched in one of `every` frames, spread evenly; in a
    stream's first frame, all are searched. A frame whose longer side is at most `seen` pixels has
    no tiles, because the detector does not shrink it. `extra_looks` is the mean number of on-demand
    looks per frame; see `ExtraLooks`. One of `search_every` frames is always searched in full, the
    others only if necessary; see `FollowedStream`.
    """

    count: int
    every: int
    seen: int = 0
    extra_looks: float = 1.0
    search_every: int = 1

    def is_due(self, index: int) -> bool:
        """Whether frame number `index` is always searched in full."""
        return index % self.search_every == 0

    def every_tile(self, frame: Picture) -> tuple[Region, ...]:
        """Return all tiles of the frame."""
        height, width = frame.shape[:2]
        return tiles(width, height, self.count) if max(height, width) > self.seen else ()

    def tiles(self, frame: Picture, index: int) -> list[Region]:
        """Return the tiles to search in frame number `index`."""
        every_tile = self.every_tile(frame)
        # Each tile has turns both among all frames and among only those due for a full search.
        turn = (index // self.search_every + index % self.search_every) % self.every
        return [
            tile
            for place, tile in enumerate(every_tile)
            if index == 0 or place * self.every // len(every_tile) == turn
        ]


@functools.lru_cache(maxsize=64)
def tiles(width: int, height: int, count: int) -> tuple[Region, ...]:
    """Cover a frame with `count` tiles that overlap by a fifth, as small and square as possible."""
    if not count:
        return ()
    grids = [(count // rows, rows) for rows in range(1, count + 1) if count % rows == 0]
    columns, rows = min(grids, key=lambda grid: _side(width, height, *grid))
    side = _side(width, height, columns, rows)
    return tuple(
        (x, y, min(side, width), min(side, height))
        for y in _starts(height, side, rows)
        for x in _starts(width, side, columns)
    )


def _side(width: int, height: int, columns: int, rows: int) -> int:
    """Return the side of square tiles if this many cover the frame with overlap."""
    across = width / (columns - (columns - 1) * OVERLAP)
    down = height / (rows - (rows - 1) * OVERLAP)
    return int(np.ceil(max(across, down)))


def _starts(length: int, side: int, count: int) -> list[int]:
    return sorted({round(start) for start in np.linspace(0, max(length - side, 0), count)})


def region_around(
    box: Box, width: int, height: int, zoom: float = ZOOM, least: int = MIN_REGION
) -> Region:
    """Return a square of `zoom` times the box's side around its center, inside the frame.

    Its side is at least `least` pixels, if the frame is large enough, and a multiple of EVEN.
    """
    x, y, w, h = box
    side = max(least, EVEN * round(zoom * max(w, h) / EVEN))
    left = int(np.clip(round(x + (w - side) / 2), 0, max(width - side, 0)))
    top = int(np.clip(round(y + (h - side) / 2), 0, max(height - side, 0)))
    return left, top, min(side, width), min(side, height)


def search(detector: FaceDetector, frame: Picture, regions: Sequence[Region]) -> list[Detection]:
    """Return the faces that `detector` finds in the regions of `frame`, in frame pixels."""
    found = []
    for region in regions:
        part = np.ascontiguousarray(cut(frame, *region))
        found += [_shifted(one, *region[:2]) for one in detector.detect(part)]
    return found


def search_whole(
    detector: FaceDetector, picture: Image, tiling: Tiling, score: float
) -> list[Detection]:
    """Return the faces of a stream's first picture, searched in full and in every tile."""
    found = [*detector.detect(picture), *search(detector, picture, tiling.tiles(picture, 0))]
    return [one for one in merge(found) if one.score >= score]


def merge(detections: Sequence[Detection]) -> list[Detection]:
    """Keep the best detection of each face, best score first.

    A detection that is mostly inside a better one is the same face, because a tile's edge may cut a
    face in two. At most `MOST_FACES` are kept, as in a message.
    """
    boxes = as_boxes(detections)
    scores = np.array([one.score for one in detections], np.float64)
    closeness: Floats = containments(boxes, boxes)
    groups = suppress(closeness, scores, SAME_FACE)
    return [detections[group[0]] for group in groups[:MOST_FACES]]


def _shifted(detection: Detection, x: int, y: int) -> Detection:
    left, top, width, height = detection.box
    landmarks: tuple[Point, ...] = tuple((a + x, b + y) for a, b in detection.landmarks)
    return Detection((left + x, top + y, width, height), detection.score, landmarks)
