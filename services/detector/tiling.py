"""Regions of a frame to search again, in which small faces are large enough to be found."""

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

# Left, top, width and height in pixels of the frame.
Region: TypeAlias = tuple[int, int, int, int]

OVERLAP = 0.2
ZOOM = 4.0
MIN_REGION = 96
SAME_FACE = 0.5


@dataclass(frozen=True, slots=True)
class Tiling:
    """Chooses the regions that are searched in addition to the whole frame.

    In addition to the whole frame, each of `count` overlapping tiles is searched in one of `every`
    frames, the tiles' turns spread evenly; a stream's first frame gets them all. A frame whose
    longer side is at most `seen` pixels has no tiles: the detector sees it all as it is.
    `extra_looks` are those that may be spent by need, a frame on average: see `ExtraLooks`. One of
    `search_every` frames is searched whole in any case; the others only where the picture asks for
    it: see `FollowedStream`.
    """

    count: int
    every: int
    seen: int = 0
    extra_looks: float = 1.0
    search_every: int = 1

    def is_due(self, index: int) -> bool:
        """Whether frame number `index` is searched whole in any case."""
        return index % self.search_every == 0

    def every_tile(self, frame: Picture) -> tuple[Region, ...]:
        """Return all tiles of the frame."""
        height, width = frame.shape[:2]
        return tiles(width, height, self.count) if max(height, width) > self.seen else ()

    def tiles(self, frame: Picture, index: int) -> list[Region]:
        """Return the tiles whose turn it is in frame number `index`."""
        every_tile = self.every_tile(frame)
        # Each tile has its turn among all frames, and among those that are due alone.
        turn = (index // self.search_every + index % self.search_every) % self.every
        return [
            tile
            for place, tile in enumerate(every_tile)
            if index == 0 or place * self.every // len(every_tile) == turn
        ]


@functools.lru_cache(maxsize=64)
def tiles(width: int, height: int, count: int) -> tuple[Region, ...]:
    """Cover a frame with `count` tiles that overlap by a fifth, as small and square as may be."""
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
    """Return the side of a square tile of which so many cover the frame with overlap."""
    across = width / (columns - (columns - 1) * OVERLAP)
    down = height / (rows - (rows - 1) * OVERLAP)
    return int(np.ceil(max(across, down)))


def _starts(length: int, side: int, count: int) -> list[int]:
    return sorted({round(start) for start in np.linspace(0, max(length - side, 0), count)})


def region_around(
    box: Box, width: int, height: int, zoom: float = ZOOM, least: int = MIN_REGION
) -> Region:
    """Return a square of `zoom` times the box's side about its middle, kept inside the frame.

    It has at least `least` pixels a side, where the frame has them.
    """
    x, y, w, h = box
    side = max(least, round(zoom * max(w, h)))
    left = int(np.clip(round(x + (w - side) / 2), 0, max(width - side, 0)))
    top = int(np.clip(round(y + (h - side) / 2), 0, max(height - side, 0)))
    return left, top, min(side, width), min(side, height)


def search(detector: FaceDetector, frame: Picture, regions: Sequence[Region]) -> list[Detection]:
    """Return the faces that `detector` finds in the regions of `frame`, in pixels of the frame."""
    found = []
    for region in regions:
        part = np.ascontiguousarray(cut(frame, *region))
        found += [_shifted(one, *region[:2]) for one in detector.detect(part)]
    return found


def search_whole(
    detector: FaceDetector, picture: Image, tiling: Tiling, score: float
) -> list[Detection]:
    """Return the faces of a picture that begins a stream: searched whole and in every tile."""
    found = [*detector.detect(picture), *search(detector, picture, tiling.tiles(picture, 0))]
    return [one for one in merge(found) if one.score >= score]


def merge(detections: Sequence[Detection]) -> list[Detection]:
    """Keep the best of those that show the same face; the best score comes first.

    What lies for the most part inside a better one is the same face too, since a tile's edge may
    cut a face in two. There are `MOST_FACES` at most, as in a message.
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
