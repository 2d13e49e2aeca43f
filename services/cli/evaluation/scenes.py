"""Faces in scenes through the real detector and alignment, for `emostream evaluate --scenes`."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from emostream.models.alignment import CROP, align
from emostream.models.evaluation.gap import Found, matches
from emostream.models.evaluation.scenes import Style, scenes
from emostream.services.detector import backends
from emostream.services.detector.detection import Detection, FaceDetector, as_boxes
from emostream.services.detector.tiling import Tiling, search_whole
from emostream.shared.pixels import Image

# How files are searched, where time does not press; docs/decisions.md has the figures.
DEFAULTS = {
    **backends.DEFAULTS,
    "blazeface": dataclasses.replace(backends.DEFAULTS["blazeface"], tiles=8),
}


class FaceFinder:
    """A detector as it searches files: the whole frame and all tiles, each picture by itself."""

    def __init__(self, detector: FaceDetector, tiles: int, score: float) -> None:
        """Take a detector that reports faces from `score` on or below."""
        self._detector = detector
        self._tiling = Tiling(tiles, 1)
        self._score = score

    def __call__(self, picture: Image) -> list[Detection]:
        """Return the faces in a picture, uint8 (H, W, 3) BGR, that would begin a track."""
        return search_whole(self._detector, picture, self._tiling, self._score)


def find_in_scenes(
    faces: Image,
    finder: FaceFinder,
    style: Style,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Found:
    """Draw each of the faces uint8 (N, H, H) once, look for them, and cut them out."""
    indices: list[int] = []
    aligned, boxed = [np.empty((0, CROP, CROP), np.uint8)], [np.empty((0, CROP, CROP), np.uint8)]
    count = drawn = invented = 0
    seconds = 0.0
    for scene in scenes(faces, seed, style):
        started = time.perf_counter()
        detections = finder(scene.picture)
        seconds += time.perf_counter() - started
        pairs = matches(as_boxes(detections), scene.faces)
        hits = [detections[box] for box, _ in pairs]
        indices += [int(scene.indices[face]) for _, face in pairs]
        aligned.append(align(scene.picture, hits, CROP))
        boxed.append(align(scene.picture, [Detection(hit.box, hit.score) for hit in hits], CROP))
        invented += len(detections) - len(hits)
        drawn += len(scene.faces)
        count += 1
        progress(drawn, len(faces))
    return Found(
        scenes=count,
        drawn=drawn,
        invented=invented,
        milliseconds=1e3 * seconds / max(count, 1),
        indices=np.array(indices, np.intp),
        aligned=np.concatenate(aligned),
        boxed=np.concatenate(boxed),
    )
