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

# A window's side in units of the face's side, its minimum in frame pixels, and its size when
# searched.
ZOOM: Final = 2.0
LEAST: Final = 32
SIDE: Final = 128
COLUMNS: Final = 4
# This many windows cost as much as half a full-frame search.
MOST_WINDOWS: Final = 8
# A face belongs to a window if its center is within this distance of the expected one, in units of
# the face's side. Any other face has its own window, or is found in the full frame.
NEAR: Final = 0.6


@dataclass(frozen=True, slots=True)
class Window:
    """An expected face: its `box`, and the `region` to search, in frame pixels."""

    box: Box
    region: Region

    def shows(self, box: Box) -> bool:
        """Whether a detected box may be the expected face."""
        (x, y, width, height), (a, b, across, down) = self.box, box
        off = max(abs(a + across / 2 - x - width / 2), abs(b + down / 2 - y - height / 2))
        return off <= NEAR * max(width, height)


def windows_around(boxes: Sequence[Box], width: int, height: int) -> list[Window]:
    """Return a window around each box, inside a frame of width x height, ordered by box.

    Detections in a window depend slightly on its neighbors in the searched picture. If windows were
    ordered by the start of tracks, a chunk of a recording would not have the boxes of the whole.
    """
    return [Window(box, region_around(box, width, height, ZOOM, LEAST)) for box in sorted(boxes)]


def search_windows(
    detector: FaceDetector, frame: Picture, windows: Sequence[Window]
) -> list[Detection]:
    """Return the faces at their expected positions, in pixels of `frame`, with one search."""
    if not windows:
        return []
    columns = min(len(windows), COLUMNS)
    rows = -(-len(windows) // columns)
    mosaic = np.zeros((rows * SIDE, columns * SIDE, 3), np.uint8)
    for place, window in enumerate(windows):
        shown = _fitted(cut(frame, *window.region))
        top, left = (SIDE * number for number in divmod(place, columns))
        mosaic[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    placed = (_placed(one, windows, columns) for one in detector.detect(mosaic))
    return [one for one in placed if one]


def _fitted(part: Image) -> Image:
    """Return the part resized to a longer side of SIDE."""
    height, width = part.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    small = cv2.resize(halved(part, SIDE), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(small, np.uint8)


def _placed(found: Detection, windows: Sequence[Window], columns: int) -> Detection | None:
    """Return a detection in the mosaic in frame pixels; None if it is another face."""
    x, y, across, down = found.box
    column, row = int((x + across / 2) // SIDE), int((y + down / 2) // SIDE)
    place = row * columns + column
    if not (0 <= column < columns and 0 <= place < len(windows)):
        return None
    left, top, width, height = windows[place].region
    scale = max(width, height) / SIDE
    dx, dy = left - scale * SIDE * column, top - scale * SIDE * row
    box = (dx + scale * x, dy + scale * y, scale * across, scale * down)
    landmarks = tuple((dx + scale * a, dy + scale * b) for a, b in found.landmarks)
    return Detection(box, found.score, landmarks) if windows[place].shows(box) else None
