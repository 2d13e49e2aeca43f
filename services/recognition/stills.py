"""Face search in single pictures, where accuracy matters more than time."""

from typing import Final

import cv2
import numpy as np

from emostream.services.detector import backends
from emostream.services.detector.detection import Detection, FaceDetector
from emostream.services.detector.tiling import Tiling, search_whole
from emostream.shared.pixels import Image

# The number of tiles by picture size in pixels. More tiles find more small faces, but BlazeFace has
# some false detections in small pictures, and many with more tiles than these.
LARGER: Final[dict[backends.Backend, tuple[tuple[int, int], ...]]] = {
    "yunet": ((4_000_000, 15), (1_500_000, 8)),
    "blazeface": ((750_000, 8),),
    "haar": (),
}
# A face that fills the picture is found only with a margin around it. A detection smaller than this
# share of the shorter side that was not found without the margin is usually false.
FILLS: Final = 0.5
FRAMED_SIDE: Final = 480  # size to which a picture is shrunk before the margin is added
# The minimum score of the best face in a rotated picture.
TURNED_SCORE: Final = 0.8


def search_still(
    detector: FaceDetector,
    picture: Image,
    tiles: int,
    score: float,
    turned_gain: float | None = None,
) -> list[Detection]:
    """Return the faces in a picture, uint8 (H, W, 3) BGR, best score first.

    The picture is rotated if its faces are sideways or upside down: if the sum of their scores is
    then `turned_gain` times as high, or, without `turned_gain`, if no face is found otherwise.
    `detector` must report faces from at most `score`.
    """
    if turned_gain is None and (found := _search_upright(detector, picture, tiles, score)):
        return found
    quarters = _turn(detector, picture, score, turned_gain or 0.0)
    turned = np.ascontiguousarray(np.rot90(picture, quarters))
    found = _search_upright(detector, turned, tiles, score)
    return [_turned_back(one, quarters, picture) for one in found] if quarters else found


def _search_upright(
    detector: FaceDetector, picture: Image, tiles: int, score: float
) -> list[Detection]:
    """Search a picture in full and in tiles, and if nothing is found, for a face that fills it."""
    found = search_whole(detector, picture, Tiling(tiles, 1), score)
    return found or _search_framed(detector, picture, score)


def usual_tiles(backend: backends.Backend, picture: Image) -> int:
    """Return the number of tiles that suits a detector and the size of a picture."""
    pixels = picture.shape[0] * picture.shape[1]
    usual = backends.DEFAULTS[backend].still_tiles
    return next((tiles for least, tiles in LARGER[backend] if pixels >= least), usual)


def _search_framed(detector: FaceDetector, picture: Image, score: float) -> list[Detection]:
    """Look for a face that fills the picture, with a margin added."""
    height, width = picture.shape[:2]
    scale = min(1.0, FRAMED_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    room = max(size) // 2
    framed = cv2.copyMakeBorder(small, room, room, room, room, cv2.BORDER_REPLICATE)
    return [
        _in_picture(one, room, scale)
        for one in detector.detect(np.asarray(framed, np.uint8))
        if one.score >= score and min(one.box[2:]) >= FILLS * min(size)
    ]


def _turn(detector: FaceDetector, picture: Image, score: float, gain: float) -> int:
    """Return the number of left quarter turns that make the faces upright; 0 if unsure."""
    sums, best = [], []
    for quarters in range(4):
        found = detector.detect(np.ascontiguousarray(np.rot90(picture, quarters)))
        scores = [one.score for one in found if one.score >= score]
        sums.append(sum(scores))
        best.append(max(scores, default=0.0))
    turn = int(np.argmax(sums))
    sure = best[turn] > TURNED_SCORE and sums[turn] > gain * sums[0]
    return turn if sure else 0


def _turned_back(found: Detection, quarters: int, picture: Image) -> Detection:
    """Convert detections after this many left quarter turns to pixels of the picture."""
    height, width = picture.shape[:2]

    def back(x: float, y: float) -> tuple[float, float]:
        return {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[quarters]

    x, y, across, down = found.box
    (left, top), (right, bottom) = back(x, y), back(x + across, y + down)
    box = (min(left, right), min(top, bottom), abs(right - left), abs(bottom - top))
    return Detection(box, found.score, tuple(back(a, b) for a, b in found.landmarks))


def _in_picture(found: Detection, room: int, scale: float) -> Detection:
    """Convert detections in the picture with a margin to pixels of the picture."""
    x, y, width, height = found.box
    box = ((x - room) / scale, (y - room) / scale, width / scale, height / scale)
    points = tuple(((a - room) / scale, (b - room) / scale) for a, b in found.landmarks)
    return Detection(box, found.score, points)
