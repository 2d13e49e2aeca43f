"""Recall for tilted, turned, covered or backlit faces, in scenes and in clips.

    python -m benchmarks.detector_conditions --data ../shared/data

Photos are searched like in `recognize` and `analyze`, rotated if faces are sideways; frames like
the first one of a video, in full and in tiles.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from benchmarks.detector_data import clear_faces, load_clips
from emostream.models.evaluation.scenes import Floats, SceneStyle, draw_scenes
from emostream.models.evaluation.video_scores import match_centers
from emostream.services.detector.backends import CHOICES, create, select
from emostream.services.detector.detection import Detection, as_boxes
from emostream.services.detector.tiling import Tiling, search_whole
from emostream.services.recognition.stills import search_still, usual_tiles
from emostream.shared.pixels import Image

Search: TypeAlias = Callable[[Image], list[Detection]]
TILTS = (0, 15, 30, 45, 60, 90, 135, 180)
# A head is turned far if the nose is this close to an eye, in shares of their distance.
PROFILE = 0.25


@dataclass(frozen=True)
class Condition:
    """How the scenes of a row are drawn: the style, and a change to each face."""

    name: str
    style: SceneStyle
    change: Callable[[Image], Image] = lambda faces: faces


def covered(faces: Image, rows: slice, columns: slice) -> Image:
    """Return the faces uint8 (N, 48, 48) with a part of each covered in gray."""
    changed = faces.copy()
    changed[:, rows, columns] = 90
    return changed


def dimmed(faces: Image, light: float) -> Image:
    """Return the faces with a share of their light, as before a bright window."""
    return (faces * light).astype(np.uint8)


CONDITIONS = (
    *(Condition(f"tilted by {turn}°", SceneStyle(turn=turn, turn_exactly=True)) for turn in TILTS),
    Condition(
        "eyes covered", SceneStyle(), partial(covered, rows=slice(12, 24), columns=slice(48))
    ),
    Condition(
        "mouth and chin covered",
        SceneStyle(),
        partial(covered, rows=slice(28, 48), columns=slice(48)),
    ),
    Condition(
        "left half covered", SceneStyle(), partial(covered, rows=slice(48), columns=slice(24))
    ),
    Condition("backlit, 30% of the light", SceneStyle(), partial(dimmed, light=0.3)),
    Condition("backlit, 15% of the light", SceneStyle(), partial(dimmed, light=0.15)),
)


def recall(search: Search, scenes: Sequence[tuple[Image, Floats]]) -> str:
    """Return the share of found faces, and the false boxes per hundred pictures."""
    found = faces = false = 0
    for picture, squares in scenes:
        boxes = as_boxes(search(picture))
        hits = len(match_centers(boxes, squares))
        found, faces, false = found + hits, faces + len(squares), false + len(boxes) - hits
    return f"{100 * found / faces:5.1f}% (false {100 * false / len(scenes):.0f})"


def tilted(frame: Image, degrees: float) -> Image:
    """Return the frame rotated around its center, on a canvas that contains all of it."""
    height, width = frame.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (round(height * sin + width * cos), round(height * cos + width * sin))
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return np.asarray(cv2.warpAffine(frame, matrix, size, borderValue=(90, 90, 90)), np.uint8)


def profile(found: Detection) -> bool:
    """Whether the nose is close to or beyond one of the eyes: a head that is turned far."""
    right, left, nose, _ = np.array(found.landmarks)
    across = left - right
    share = float((nose - right) @ across / (across @ across))
    return not PROFILE < share < 1 - PROFILE


def show_clips(searches: Sequence[Search], folder: Path) -> None:
    """Print the share of frames in the clips with the right number of faces, tilted and turned."""
    for name, people, frames in load_clips(folder):
        for turn in TILTS:
            turned = [tilted(frame, turn) for frame in frames[::4]]
            right = [np.mean([len(search(f)) == people for f in turned]) for search in searches]
            print(
                f"{name[:30]:30} tilted by {turn:3}°: {100 * right[0]:5.1f}% {100 * right[1]:5.1f}%"
            )
        found = [searches[0](frame) for frame in frames]
        far = [all_of for all_of in found if any(profile(one) for one in all_of if one.landmarks)]
        right_number = sum(len(all_of) == people for all_of in far)
        print(
            f"{name[:30]:30} in profile: right in {right_number} of {len(far)} frames", flush=True
        )


def drawn(condition: Condition, faces: Image, count: int) -> Iterator[tuple[Image, Floats]]:
    """Yield `count` scenes of a condition with the positions of their faces."""
    for scene in islice(draw_scenes(condition.change(faces), 1, condition.style), count):
        yield scene.picture, scene.faces


def main() -> None:
    """Print a row for each condition."""
    parser = argparse.ArgumentParser(description="Measure a detector under worse conditions.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--backend", choices=CHOICES, default="auto")
    parser.add_argument("--scenes", type=int, default=60)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    chosen = select(arguments.backend)
    defaults = chosen.defaults
    detector = create(chosen)

    def photo(picture: Image) -> list[Detection]:
        tiles = usual_tiles(chosen.backend, picture)
        return search_still(detector, picture, tiles, defaults.still_score, defaults.turned_gain)

    def frame(picture: Image) -> list[Detection]:
        return search_whole(detector, picture, Tiling(defaults.still_tiles, 1), defaults.score)

    print(f"{chosen}: photos, then first frames of video")
    faces = clear_faces("PublicTest", arguments.data / "fer").images
    for condition in CONDITIONS:
        scenes = list(drawn(condition, faces, arguments.scenes))
        print(f"{condition.name:30} {recall(photo, scenes)} {recall(frame, scenes)}", flush=True)
    show_clips((photo, frame), arguments.data / "clips")


if __name__ == "__main__":
    main()
