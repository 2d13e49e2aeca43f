"""How a single picture is searched for faces, where time does not press and no video follows."""

from typing import Final

import cv2
import numpy as np

from emostream.services.detector import backends
from emostream.services.detector.detection import Detection, FaceDetector
from emostream.services.detector.tiling import Tiling, search_whole
from emostream.shared.pixels import Image

# With eight tiles BlazeFace finds far more small faces, but in small pictures it invents some.
LARGE: Final = 750_000  # pixels of a picture that gets them
LARGE_TILES: Final = 8
# A face that fills a picture is found once there is room around it. Whatever is smaller than this
# share of the shorter side, and was not found without that, is most often no face.
FILLS: Final = 0.5
FRAMED_SIDE: Final = 480  # to which a picture is shrunk before it gets its frame


def search_still(
    detector: FaceDetector, picture: Image, tiles: int, score: float
) -> list[Detection]:
    """Return the faces in a picture, uint8 (H, W, 3) BGR; the best score comes first.

    It is searched whole and in `tiles` parts; where nothing is found, once more for a face that
    fills it. `detector` reports faces from `score` on or below.
    """
    found = search_whole(detector, picture, Tiling(tiles, 1), score)
    return found or _search_framed(detector, picture, score)


def usual_tiles(backend: backends.Backend, picture: Image) -> int:
    """Return the number of tiles that suits a detector and the size of a picture."""
    height, width = picture.shape[:2]
    if backend == "blazeface" and height * width >= LARGE:
        return LARGE_TILES
    return backends.DEFAULTS[backend].tiles


def _search_framed(detector: FaceDetector, picture: Image, score: float) -> list[Detection]:
    """Look for a face that fills the picture, in a frame that gives it room."""
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


def _in_picture(found: Detection, room: int, scale: float) -> Detection:
    """Express in pixels of the picture what was found in the framed one."""
    x, y, width, height = found.box
    box = ((x - room) / scale, (y - room) / scale, width / scale, height / scale)
    points = tuple(((a - room) / scale, (b - room) / scale) for a, b in found.landmarks)
    return Detection(box, found.score, points)
