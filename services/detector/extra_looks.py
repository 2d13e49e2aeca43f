"""Extra looks: regions that are searched on demand, besides full frames and regular tiles."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.services.detector.planes import Picture, Planes
from emostream.services.detector.tiling import Region, Tiling, region_around
from emostream.shared.messages import Box

Reason: TypeAlias = Literal["lost", "changed"]
REASONS: Final[tuple[Reason, ...]] = ("lost", "changed")
# Looks by reason, and whether the budget allowed them.
LookCounts: TypeAlias = Counter[tuple[Reason, bool]]

GRID: Final = (16, 9)  # grid of cells (columns, rows) for comparing a picture with an earlier one
SAMPLED: Final = 8  # one of this many pixels in each direction is compared
CHANGED: Final = 6.0  # gray levels by which a cell must differ; noise changes it by about 0.5
# A cut is detected if this share of the cells differs from the previous frame, and the pattern of
# light and dark differs too, which a flash does not change.
CUT_SHARE: Final = 0.7
CUT_CORRELATION: Final = 0.5
LEAST_COST: Final = 0.05  # cost of a small region, in looks


class ExtraLooks:
    """The extra looks of one stream, with a budget per frame from the tiling.

    A face that was just lost is searched for around its expected position, and a tile that changed
    since its last search is searched again. A region smaller than the detector's input costs less
    than one look. Looks beyond the budget are left out; unused budget is saved, up to one look at
    every tile. Without tiles there are no extra looks.
    """

    def __init__(self, tiling: Tiling, counts: LookCounts) -> None:
        """Create without a frame; looks are counted in `counts`."""
        self._tiling = tiling
        self._counts = counts
        self._saved = 0.0
        self._tile_cells: list[bytes] = []  # by tile, at its last search
        self._frame_cells = b""
        self._whole_cells = b""  # at the last full-frame search
        self.is_cut = False

    def begin(self, frame: Picture) -> None:
        """Start the next frame.

        Afterward, `is_cut` says whether there was a cut since the previous frame.
        """
        budget = self._tiling.extra_looks
        most = max(budget, self._tiling.count if budget else 0)
        self._saved = min(self._saved + budget, most)
        cells = thumbnail(frame)
        self.is_cut = bool(self._frame_cells) and _is_cut(cells, self._frame_cells)
        self._frame_cells = cells.tobytes()
        every_tile = self._tiling.every_tile(frame)
        if len(self._tile_cells) != len(every_tile):
            self._tile_cells = [self._frame_cells] * len(every_tile)

    def note_searched(self, frame: Picture, tiles: Sequence[Region]) -> None:
        """Record that the full frame and these regular tiles were searched."""
        self._whole_cells = self._frame_cells
        for place, tile in enumerate(self._tiling.every_tile(frame)):
            if tile in tiles:
                self._tile_cells[place] = self._frame_cells

    def changed_outside(self, frame: Picture, regions: Sequence[Region]) -> bool:
        """Whether the frame differs outside `regions` from the last fully searched one."""
        if not self._whole_cells:
            return True
        changed = self._differences(self._whole_cells) > CHANGED
        for region in regions:
            changed[_cells_of(region, frame)] = False
        return bool(changed.any())

    def around(self, frame: Picture, missing: Sequence[Box]) -> list[Region]:
        """Return the regions in which to look for the `missing` faces."""
        if not self._tiling.count:
            return []
        wanted = [region_around(box, frame.shape[1], frame.shape[0]) for box in missing]
        return [region for region in wanted if self._spend("lost", region)]

    def changed_tiles(self, frame: Picture) -> list[Region]:
        """Return the tiles to search again, most changed first."""
        places = []
        for place, tile in enumerate(self._tiling.every_tile(frame)):
            difference = self._differences(self._tile_cells[place])[_cells_of(tile, frame)].max()
            if difference > CHANGED:
                places.append((-float(difference), place, tile))
        wanted = []
        for _, place, tile in sorted(places):
            if self._spend("changed", tile):
                self._tile_cells[place] = self._frame_cells
                wanted.append(tile)
        return wanted

    def state(self) -> tuple[Any, ...]:
        """Return the state as plain values."""
        return self._saved, self._tile_cells, self._frame_cells, self._whole_cells

    def restore(self, state: Sequence[Any]) -> None:
        """Replace the state."""
        self._saved, tile_cells, self._frame_cells, self._whole_cells = state
        self._tile_cells = list(tile_cells)

    def _differences(self, before: bytes) -> NDArray[np.float64]:
        """Return how much each cell of the frame differs from earlier ones."""
        now, then = (np.frombuffer(cells, np.uint8) for cells in (self._frame_cells, before))
        return np.abs(now.astype(float) - then).reshape(GRID[::-1])

    def _spend(self, reason: Reason, region: Region) -> bool:
        seen = self._tiling.seen
        cost = min(1.0, max(LEAST_COST, region[2] * region[3] / seen**2)) if seen else 1.0
        has_room = self._saved >= cost
        self._saved -= cost * has_room
        self._counts[reason, has_room] += 1
        return has_room


def thumbnail(frame: Picture) -> NDArray[np.uint8]:
    """Return the mean green or brightness of each cell of GRID, uint8 (9, 16)."""
    level = frame.luma if isinstance(frame, Planes) else frame[..., 1]
    sampled = np.ascontiguousarray(level[::SAMPLED, ::SAMPLED])
    return np.asarray(cv2.resize(sampled, GRID, interpolation=cv2.INTER_AREA), np.uint8)


def _is_cut(cells: NDArray[np.uint8], before: bytes) -> bool:
    now, then = cells.astype(float).ravel(), np.frombuffer(before, np.uint8).astype(float)
    if (np.abs(now - then) > CHANGED).mean() <= CUT_SHARE:
        return False
    now, then = now - now.mean(), then - then.mean()
    likeness = float(now @ then) / max(float(np.linalg.norm(now) * np.linalg.norm(then)), 1e-9)
    return likeness < CUT_CORRELATION


def _cells_of(tile: Region, frame: Picture) -> tuple[slice, slice]:
    """Return the rows and columns of the cells that a tile covers at least partially."""
    height, width = frame.shape[:2]
    x, y, across, down = tile
    columns = slice(x * GRID[0] // width, -(-(x + across) * GRID[0] // width))
    rows = slice(y * GRID[1] // height, -(-(y + down) * GRID[1] // height))
    return rows, columns
