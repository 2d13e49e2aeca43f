"""Windows around tracked faces, searched together as one small picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from emostream.services.detector.detection import Detection, FaceDetector
from emostream.services.detector.planes import Picture, cut
from emostream.services.detector.resampling import halved
from emostream.services.detector.tiling import Region, region_around
from emostream.shared.messages import Box
from emostream.shared.pixels import Image

LEAST: Final = 32  # minimum side of a window, in frame pixels
COLUMNS: Final = 4
# This many windows cost as much as half a full-frame search.
MOST_WINDOWS: Final = 8
# A face belongs to a window if its center is within this distance of the expected one, in units of
# the face's side. Any other face has its own window, or is found in the full frame.
NEAR: Final = 0.6


@dataclass(frozen=True, slots=True)
class WindowSize:
    """A window's side in units of the face's side (`zoom`), and in pixels when it is searched."""

    zoom: float
    side: int


# For a face that is expected, and for one that was not found so small.
NARROW: Final = WindowSize(2.0, 128)
WIDE: Final = WindowSize(2.0, 192)


@dataclass(frozen=True, slots=True)
class Window:
    """An expected face: its `box`, and the `region` to search, in frame pixels.

    The region is shrunk or enlarged to a longer side of `side` pixels.
    """

    box: Box
    region: Region
    side: int

    def shows(self, box: Box) -> bool:
        """Whether a detected box may be the expected face."""
        (x, y, width, height), (a, b, across, down) = self.box, box
        off = max(abs(a + across / 2 - x - width / 2), abs(b + down / 2 - y - height / 2))
        return off <= NEAR * max(width, height)


def windows_around(boxes: Sequence[Box], width: int, height: int, size: WindowSize) -> list[Window]:
    """Return a window around each box, inside a frame of width x height, ordered by box.

    Detections in a window depend slightly on its neighbors in the searched picture. If windows were
    ordered by the start of tracks, a chunk of a recording would not have the boxes of the whole.
    """
    return [
        Window(box, region_around(box, width, height, size.zoom, LEAST), size.side)
        for box in sorted(boxes)
    ]


def search_windows(
    detector: FaceDetector, frame: Picture, windows: Sequence[Window]
) -> list[Detection]:
    """Return the faces at their expected positions, in pixels of `frame`, with one search.

    The windows have the same side.
    """
    if not windows:
        return []
    side = windows[0].side
    columns = min(len(windows), COLUMNS)
    rows = -(-len(windows) // columns)
    mosaic = np.zeros((rows * side, columns * side, 3), np.uint8)
    for place, window in enumerate(windows):
        row, column = divmod(place, columns)
        _draw(cut(frame, *window.region), mosaic[side * row :, side * column :], side)
    placed = (_placed(one, windows, columns) for one in detector.detect(mosaic))
    return [one for one in placed if one]


def _draw(part: Image, canvas: Image, side: int) -> None:
    """Draw the part, resized to a longer side of `side`, at the canvas's left top corner."""
    height, width = part.shape[:2]
    scale = side / max(height, width)
    across, down = max(1, round(scale * width)), max(1, round(scale * height))
    cv2.resize(
        halved(part, side), (across, down), canvas[:down, :across], interpolation=cv2.INTER_LINEAR
    )


def _placed(found: Detection, windows: Sequence[Window], columns: int) -> Detection | None:
    """Return a detection in the mosaic in frame pixels; None if it is another face."""
    side = windows[0].side
    x, y, across, down = found.box
    column, row = int((x + across / 2) // side), int((y + down / 2) // side)
    place = row * columns + column
    if not (0 <= column < columns and 0 <= place < len(windows)):
        return None
    left, top, width, height = windows[place].region
    scale = max(width, height) / side
    dx, dy = left - scale * side * column, top - scale * side * row
    box = (dx + scale * x, dy + scale * y, scale * across, scale * down)
    landmarks = tuple((dx + scale * a, dy + scale * b) for a, b in found.landmarks)
    return Detection(box, found.score, landmarks) if windows[place].shows(box) else None
