"""Faces in scenes through the real detector and alignment, for `emostream evaluate --scenes`."""

import time
from collections.abc import Callable

import numpy as np

from emostream.models.alignment import align
from emostream.models.crop_size import CROP
from emostream.models.evaluation.domain_gap import DetectedFaces, match_boxes
from emostream.models.evaluation.scenes import SceneStyle, draw_scenes
from emostream.models.quality import assess_all
from emostream.services.detector.backends import Selection
from emostream.services.detector.detection import Detection, FaceDetector, as_boxes
from emostream.services.recognition.stills import search_still, usual_tiles
from emostream.shared.pixels import Image


class SceneSearch:
    """Detection as in photos: each picture separately, with the default tiles for its size."""

    def __init__(
        self, detector: FaceDetector, chosen: Selection, score: float, tiles: int | None = None
    ) -> None:
        """Create from a detector that reports faces down to `score`, and the selected backend."""
        self._detector = detector
        self._chosen = chosen
        self._score = score
        self._tiles = tiles

    def __call__(self, picture: Image) -> list[Detection]:
        """Return the faces in a picture, uint8 (H, W, 3) BGR."""
        usual = usual_tiles(self._chosen.backend, picture)
        return search_still(
            self._detector,
            picture,
            usual if self._tiles is None else self._tiles,
            self._score,
            self._chosen.defaults.turned_gain,
        )


def detect_in_scenes(
    faces: Image,
    search: SceneSearch,
    style: SceneStyle,
    seed: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> DetectedFaces:
    """Draw each face of uint8 (N, H, H) once, detect the faces, and crop them."""
    indices: list[int] = []
    qualities: list[float] = []
    aligned, boxed = [np.empty((0, CROP, CROP), np.uint8)], [np.empty((0, CROP, CROP), np.uint8)]
    count = drawn = invented = 0
    seconds = 0.0
    for scene in draw_scenes(faces, seed, style):
        started = time.perf_counter()
        detections = search(scene.picture)
        seconds += time.perf_counter() - started
        pairs = match_boxes(as_boxes(detections), scene.faces)
        hits = [detections[box] for box, _ in pairs]
        indices += [int(scene.indices[face]) for _, face in pairs]
        crops = align(scene.picture, hits, CROP)
        aligned.append(crops)
        height, width = scene.picture.shape[:2]
        qualities += [one.overall for one in assess_all(crops, hits, width, height)]
        boxed.append(align(scene.picture, [Detection(hit.box, hit.score) for hit in hits], CROP))
        invented += len(detections) - len(hits)
        drawn += len(scene.faces)
        count += 1
        on_progress(drawn, len(faces))
    return DetectedFaces(
        scenes=count,
        drawn=drawn,
        invented=invented,
        milliseconds=1e3 * seconds / max(count, 1),
        indices=np.array(indices, np.intp),
        aligned=np.concatenate(aligned),
        boxed=np.concatenate(boxed),
        qualities=np.array(qualities),
    )
