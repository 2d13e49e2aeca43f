"""Extra looks: regions that are searched on demand, besides full frames and regular tiles."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.services.detector.planes import Picture, Planes
from emostream.services.detector.tiling import Region, Tiling, everything, region_around
from emostream.shared.messages import Box

Reason: TypeAlias = Literal["lost", "changed"]
REASONS: Final[tuple[Reason, ...]] = ("lost", "changed")
# Looks by reason, and whether the budget allowed them.
LookCounts: TypeAlias = Counter[tuple[Reason, bool]]
Cells: TypeAlias = NDArray[np.uint8]

GRID: Final = (16, 9)  # grid of cells (columns, rows) for comparing a picture with an earlier one
SAMPLED: Final = 8  # one of this many pixels in each direction is compared
CHANGED: Final = 6.0  # gray levels by which a cell must differ; noise changes it by about 0.5
# A change is sudden if this share of the cells differs from the previous frame. It is a cut if the
# pattern of light and dark differs too, which a flash does not change.
CUT_SHARE: Final = 0.7
CUT_CORRELATION: Final = 0.5
LEAST_COST: Final = 0.05  # cost of a small region, in looks
# The part of the picture in which a person's movement is expected, in sides of the face: as wide as
# the shoulders, and as high as a standing person.
PERSON_WIDTH: Final = 2.0
PERSON_HEIGHT: Final = 3.0


class ExtraLooks:
    """The extra looks of one stream, with a budget per frame from the tiling.

    A face that was just lost is searched for around its expected position, and a region is searched
    if it changed since it was last searched, unless a person known there explains it. A region
    smaller than the detector's input costs less than one look. Looks beyond the budget are left
    out; unused budget is saved, up to one look at every tile. Without tiles there are no extra
    looks.
    """

    def __init__(self, tiling: Tiling, counts: LookCounts) -> None:
        """Create without a frame; looks are counted in `counts`."""
        self._tiling = tiling
        self._counts = counts
        self._saved = 0.0
        self._cells: Cells | None = None  # of the current frame
        # Each cell when it was last searched: in a region or tile, and in the full frame.
        self._searched: Cells | None = None
        self._whole: Cells | None = None
        self.is_sudden = False
        self.is_cut = False

    def begin(self, frame: Picture) -> None:
        """Start the next frame.

        Afterward, `is_sudden` says whether most of the picture changed since the previous frame,
        and `is_cut` whether that is a cut.
        """
        budget = self._tiling.extra_looks
        most = max(budget, self._tiling.count if budget else 0)
        self._saved = min(self._saved + budget, most)
        cells = thumbnail(frame)
        before = cells if self._cells is None else self._cells
        self.is_sudden = _is_sudden(cells, before)
        self.is_cut = self.is_sudden and _has_other_pattern(cells, before)
        self._cells = cells
        if self._searched is None or self._whole is None:
            self._searched, self._whole = cells.copy(), cells.copy()

    @property
    def have_begun(self) -> bool:
        """Whether there was a frame."""
        return self._cells is not None

    def follow(self, frame: Picture, expected: Sequence[Box]) -> None:
        """Explain changes where known people are expected to be."""
        assert self._cells is not None and self._whole is not None
        height, width = frame.shape[:2]
        for x, y, across, down in expected:
            side = max(across, down)
            left, top = x + across / 2 - side * PERSON_WIDTH / 2, y + down / 2 - side
            person = _inside((left, top, side * PERSON_WIDTH, side * PERSON_HEIGHT), width, height)
            self.note_searched(frame, [person])
            cells = _cells_of(person, frame)
            self._whole[cells] = self._cells[cells]

    def note_searched(self, frame: Picture, regions: Sequence[Region]) -> None:
        """Record that these regions of the frame were searched."""
        assert self._searched is not None and self._cells is not None
        for region in regions:
            cells = _cells_of(region, frame)
            self._searched[cells] = self._cells[cells]

    def note_whole(self, frame: Picture) -> None:
        """Record that the full frame was searched; small faces are found only without tiles."""
        assert self._cells is not None
        self._whole = self._cells.copy()
        if not self._tiling.every_tile(frame):
            self._searched = self._cells.copy()

    def wanted(
        self, frame: Picture, missing: Sequence[Box], *, is_searched: bool = False
    ) -> list[Region]:
        """Return the regions to search: around `missing` faces, and what changed.

        If that costs more than the full frame, it is the full frame, and in the following frames
        the tiles that changed, one by one. If the frame `is_searched` already, all tiles that
        changed are searched, and no smaller regions.
        """
        if self._tiling.search_every == 1 and not self._tiling.count:
            return []
        height, width = frame.shape[:2]
        looks: list[tuple[Reason, Region]] = [
            ("lost", region_around(box, width, height)) for box in missing
        ]
        if is_searched:
            looks += [("changed", tile) for tile in self._changed_tiles(frame)]
        else:
            looks += [("changed", region) for region in self._changed_parts(frame)]
        chosen = [region for reason, region in looks if self._spend(reason, region)]
        if everything(frame) in chosen:
            self.note_whole(frame)
        else:
            self.note_searched(frame, chosen)
        return chosen

    def _changed_parts(self, frame: Picture) -> list[Region]:
        """Return the regions that changed, or the full frame or a tile if they are too large."""
        whole = everything(frame)
        regions = self._changed_regions(frame)
        if sum(map(self._cost, regions)) < self._cost(whole):
            return regions
        tiles = self._changed_tiles(frame)
        assert self._whole is not None and self._cells is not None
        if not tiles or int(cv2.absdiff(self._cells, self._whole).max()) > CHANGED:
            return [whole]
        return tiles[:1]

    def state(self) -> tuple[Any, ...]:
        """Return the state as plain values."""
        cells = (self._cells, self._searched, self._whole)
        return self._saved, *(b"" if each is None else each.tobytes() for each in cells)

    def restore(self, state: Sequence[Any]) -> None:
        """Replace the state."""
        self._saved, *cells = state
        self._cells, self._searched, self._whole = (
            np.frombuffer(each, np.uint8).reshape(GRID[::-1]).copy() if each else None
            for each in cells
        )

    def _changed_regions(self, frame: Picture) -> list[Region]:
        """Return the regions that changed since they were searched, most changed first."""
        difference = self._difference()
        if difference.max() <= CHANGED:
            return []
        # With a margin of one cell; what then touches is one region.
        wide = cv2.dilate((difference > CHANGED).astype(np.uint8), np.ones((3, 3), np.uint8))
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(wide, connectivity=4)
        height, width = frame.shape[:2]
        regions = []
        for label in range(1, count):
            left, top, columns, rows, _ = boxes[label].tolist()
            right, bottom = (left + columns) * width // GRID[0], (top + rows) * height // GRID[1]
            left, top = left * width // GRID[0], top * height // GRID[1]
            most = int(difference[labels == label].max())
            regions.append((-most, (left, top, right - left, bottom - top)))
        return [region for _, region in sorted(regions)]

    def _changed_tiles(self, frame: Picture) -> list[Region]:
        """Return the tiles that changed since they were searched, most changed first."""
        difference = self._difference()
        tiles = [
            (-int(difference[_cells_of(tile, frame)].max()), tile)
            for tile in self._tiling.every_tile(frame)
        ]
        return [tile for most, tile in sorted(tiles) if -most > CHANGED]

    def _difference(self) -> NDArray[np.uint8]:
        """Return how much each cell of the frame differs from when it was searched."""
        assert self._searched is not None and self._cells is not None
        return np.asarray(cv2.absdiff(self._cells, self._searched), np.uint8)

    def _spend(self, reason: Reason, region: Region) -> bool:
        cost = self._cost(region)
        has_room = self._saved >= cost
        self._saved -= cost * has_room
        self._counts[reason, has_room] += 1
        return has_room

    def _cost(self, region: Region) -> float:
        """Return the cost of a region, in looks: 1 for a square of the detector's input."""
        seen = self._tiling.seen
        if not seen:
            return 1.0
        _, _, width, height = region
        return max(LEAST_COST, width * height / max(seen, width, height) ** 2)


def thumbnail(frame: Picture) -> Cells:
    """Return the mean green or brightness of each cell of GRID, uint8 (9, 16)."""
    level = frame.luma if isinstance(frame, Planes) else frame[..., 1]
    sampled = np.ascontiguousarray(level[::SAMPLED, ::SAMPLED])
    return np.asarray(cv2.resize(sampled, GRID, interpolation=cv2.INTER_AREA), np.uint8)


def _is_sudden(cells: Cells, before: Cells) -> bool:
    return float((cv2.absdiff(cells, before) > CHANGED).mean()) > CUT_SHARE


def _has_other_pattern(cells: Cells, before: Cells) -> bool:
    now, then = (each.astype(float).ravel() - float(each.mean()) for each in (cells, before))
    likeness = float(now @ then) / max(float(np.linalg.norm(now) * np.linalg.norm(then)), 1e-9)
    return likeness < CUT_CORRELATION


def _inside(box: Box, width: int, height: int) -> Region:
    """Return the part of a box inside a frame of width x height, in whole pixels."""
    x, y, across, down = box
    left, top = (int(min(max(0, low), most - 1)) for low, most in ((x, width), (y, height)))
    right, bottom = min(max(x + across, left + 1), width), min(max(y + down, top + 1), height)
    return left, top, int(right) - left, int(bottom) - top


def _cells_of(region: Region, frame: Picture) -> tuple[slice, slice]:
    """Return the rows and columns of the cells that a region covers at least partially."""
    height, width = frame.shape[:2]
    x, y, across, down = region
    columns = slice(x * GRID[0] // width, -(-(x + across) * GRID[0] // width))
    rows = slice(y * GRID[1] // height, -(-(y + down) * GRID[1] // height))
    return rows, columns
