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
SQUARE = 0.9
ZOOM = 4.0
MIN_REGION = 96
EVEN = 8  # a side can be halved three times; OpenCV halves even sides several times as fast
SAME_FACE = 0.5
# Each detection is compared with each other one; more would take gigabytes.
MOST_COMPARED = 2 * MOST_FACES
EDGE = 0.03  # a box reaches an edge if it is this close, in units of its side


@dataclass(frozen=True, slots=True)
class Tiling:
    """Chooses the frames that are searched in full, and the tiles that are searched besides.

    Each of `count` overlapping tiles is searched in one of `every` frames, spread evenly; in a
    stream's first frame, all are searched. A frame whose longer side is at most `seen` pixels has
    no tiles, because the detector does not shrink it. `extra_looks` is the mean number of on-demand
    looks per frame; see `ExtraLooks`. One of `search_every` frames is always searched in full, the
    others only if necessary; see `FollowedStream`. Unless each frame is searched in full, tiles
    have their turns in the other ones, so that no frame takes much longer than others.
    """

    count: int
    every: int
    seen: int = 0
    extra_looks: float = 1.0
    search_every: int = 1

    def is_due(self, index: int) -> bool:
        """Whether frame number `index` is always searched in full."""
        return index % self.search_every == 0

    def has_turn(self, index: int) -> bool:
        """Whether frame number `index` is searched in full or in tiles, if it has any."""
        return self.is_due(index) or bool(self._places(index))

    def every_tile(self, frame: Picture) -> tuple[Region, ...]:
        """Return all tiles of the frame."""
        height, width = frame.shape[:2]
        return tiles(width, height, self.count) if max(height, width) > self.seen else ()

    def tiles(self, frame: Picture, index: int) -> list[Region]:
        """Return the tiles to search in frame number `index`."""
        every_tile = self.every_tile(frame)
        return [every_tile[place] for place in self._places(index) if place < len(every_tile)]

    def _places(self, index: int) -> list[int]:
        """Return the numbers of the tiles whose turn is in frame number `index`."""
        if index == 0:
            return list(range(self.count))
        turns = {index % self.every}
        if self.search_every > 1:
            if self.is_due(index):
                return []
            # A turn in a frame that is due for a full search comes one frame later.
            if self.is_due(index - 1) and index > 1:
                turns.add((index - 1) % self.every)
        return [place for place in range(self.count) if place * self.every // self.count in turns]


@functools.lru_cache(maxsize=64)
def tiles(width: int, height: int, count: int) -> tuple[Region, ...]:
    """Cover a frame with `count` tiles that overlap by a fifth, with sides as short as possible."""
    if not count:
        return ()
    grids = [(count // rows, rows) for rows in range(1, count + 1) if count % rows == 0]
    columns, rows = min(grids, key=lambda grid: max(_sides(width, height, *grid)))
    across, down = _sides(width, height, columns, rows)
    return tuple(
        (x, y, across, down)
        for y in _starts(height, down, rows)
        for x in _starts(width, across, columns)
    )


def _sides(width: int, height: int, columns: int, rows: int) -> tuple[int, int]:
    """Return width and height of tiles if this many cover the frame with overlap.

    Tiles that are almost square become squares, because a square detector's input costs the same.
    """
    across = int(np.ceil(width / (columns - (columns - 1) * OVERLAP)))
    down = int(np.ceil(height / (rows - (rows - 1) * OVERLAP)))
    longest = max(across, down)
    if min(across, down) > SQUARE * longest:
        across = down = longest
    return min(across, width), min(down, height)


def _starts(length: int, side: int, count: int) -> list[int]:
    return sorted({round(start) for start in np.linspace(0, max(length - side, 0), count)})


def everything(frame: Picture) -> Region:
    """Return the region that is the full frame."""
    return (0, 0, frame.shape[1], frame.shape[0])


def region_around(
    box: Box, width: int, height: int, zoom: float = ZOOM, least: int = MIN_REGION
) -> Region:
    """Return a square of `zoom` times the box's side around its center, inside the frame.

    Its side is at least `least` pixels, if the frame is large enough, and a multiple of EVEN.
    """
    x, y, w, h = box
    side = max(least, EVEN * round(zoom * max(w, h) / EVEN))
    left = min(max(round(x + (w - side) / 2), 0), max(width - side, 0))
    top = min(max(round(y + (h - side) / 2), 0), max(height - side, 0))
    return left, top, min(side, width), min(side, height)


def search(detector: FaceDetector, frame: Picture, regions: Sequence[Region]) -> list[Detection]:
    """Return the faces that `detector` finds in the regions of `frame`, in frame pixels."""
    found = []
    for region in regions:
        part = np.ascontiguousarray(cut(frame, *region))
        found += [_shifted(one, *region[:2]) for one in detector.detect(part)]
    return found


def search_tiles(
    detector: FaceDetector, frame: Picture, regions: Sequence[Region]
) -> list[Detection]:
    """Return the faces that lie inside the tiles of `frame`, in frame pixels.

    The part of a face that a tile's edge cuts off would be a wrong box. The face is found in a
    window, in the full frame, or in the next tile.
    """
    height, width = frame.shape[:2]
    return [
        found
        for region in regions
        for found in search(detector, frame, [region])
        if not _is_cut_off(found.box, region, width, height)
    ]


def _is_cut_off(box: Box, region: Region, width: int, height: int) -> bool:
    """Whether a box reaches an edge of the region that is not one of the frame's."""
    (x, y, across, down), (left, top, wide, high) = box, region
    edge = EDGE * max(across, down)
    return (
        (left > 0 and x < left + edge)
        or (top > 0 and y < top + edge)
        or (left + wide < width and x + across > left + wide - edge)
        or (top + high < height and y + down > top + high - edge)
    )


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
    if len(detections) < 2:
        return list(detections)
    if len(detections) > MOST_COMPARED:
        detections = sorted(detections, key=lambda one: -one.score)[:MOST_COMPARED]
    boxes = as_boxes(detections)
    scores = np.array([one.score for one in detections], np.float64)
    closeness: Floats = containments(boxes, boxes)
    groups = suppress(closeness, scores, SAME_FACE)
    return [detections[group[0]] for group in groups[:MOST_FACES]]


def _shifted(detection: Detection, x: int, y: int) -> Detection:
    left, top, width, height = detection.box
    landmarks: tuple[Point, ...] = tuple((a + x, b + y) for a, b in detection.landmarks)
    return Detection((left + x, top + y, width, height), detection.score, landmarks)
