"""Which regions of a frame are searched by need, next to its whole and the tiles' turns."""

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
# Looks by their reason, and whether the budget had room for them.
LookCounts: TypeAlias = Counter[tuple[Reason, bool]]

GRID: Final = (16, 9)  # cells, across and down, in which a picture is compared with an earlier one
SAMPLED: Final = 8  # of how many pixels, across and down, one is compared
CHANGED: Final = 6.0  # levels of gray by which a cell must differ; noise moves it by about 0.5
# A shot ends where this share of the cells differ from those of the frame before, and the pattern
# of light and dark is another too, which a flash does not change.
CUT_SHARE: Final = 0.7
CUT_CORRELATION: Final = 0.5
LEAST_COST: Final = 0.05  # of a small region, in looks


class ExtraLooks:
    """The extra looks of one stream, frame by frame, as many a frame as the tiling allows.

    A face that was there a moment ago and is not found is looked for around where it should be; a
    tile whose picture has changed since it was last searched is searched again. A region that is
    smaller than the detector's input costs less than a look. What the budget has no room for is
    left out; what is not used is saved for later, up to a look at every tile. Without tiles there
    are no extra looks.
    """

    def __init__(self, tiling: Tiling, counts: LookCounts) -> None:
        """Begin without a frame; looks are counted in `counts`."""
        self._tiling = tiling
        self._counts = counts
        self._saved = 0.0
        self._tile_cells: list[bytes] = []  # of each tile, when it was last searched
        self._frame_cells = b""
        self._whole_cells = b""  # when a whole frame was last searched
        self.is_cut = False

    def begin(self, frame: Picture) -> None:
        """Begin with the next frame.

        Afterwards `is_cut` says whether it shows another shot than the frame before.
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
        """Note that the whole frame was searched, and these tiles in their turn."""
        self._whole_cells = self._frame_cells
        for place, tile in enumerate(self._tiling.every_tile(frame)):
            if tile in tiles:
                self._tile_cells[place] = self._frame_cells

    def changed_outside(self, frame: Picture, regions: Sequence[Region]) -> bool:
        """Whether the frame differs outside `regions` from the last one that was searched whole."""
        if not self._whole_cells:
            return True
        changed = self._differences(self._whole_cells) > CHANGED
        for region in regions:
            changed[_cells_of(region, frame)] = False
        return bool(changed.any())

    def around(self, frame: Picture, missing: Sequence[Box]) -> list[Region]:
        """Return where to look for the faces that should be at `missing`."""
        if not self._tiling.count:
            return []
        wanted = [region_around(box, frame.shape[1], frame.shape[0]) for box in missing]
        return [region for region in wanted if self._spend("lost", region)]

    def changed_tiles(self, frame: Picture) -> list[Region]:
        """Return the tiles to search again, those that changed most first."""
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
        """Return what is remembered as plain values."""
        return self._saved, self._tile_cells, self._frame_cells, self._whole_cells

    def restore(self, state: Sequence[Any]) -> None:
        """Remember `state` instead."""
        self._saved, tile_cells, self._frame_cells, self._whole_cells = state
        self._tile_cells = list(tile_cells)

    def _differences(self, before: bytes) -> NDArray[np.float64]:
        """Return by how much each cell of the frame differs from earlier ones."""
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
    """Return the mean level of green, or of brightness, of each cell of GRID, uint8 (9, 16)."""
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
    """Return the rows and columns of the cells that a tile covers, at least in part."""
    height, width = frame.shape[:2]
    x, y, across, down = tile
    columns = slice(x * GRID[0] // width, -(-(x + across) * GRID[0] // width))
    rows = slice(y * GRID[1] // height, -(-(y + down) * GRID[1] // height))
    return rows, columns
