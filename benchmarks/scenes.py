"""What the benchmarks of the detector look at: clear faces to draw into scenes, and the clips."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from emostream.models.evaluation import slices
from emostream.models.ferplus import FerFaces, load_faces
from emostream.shared.pixels import Image

PEOPLE = {
    "face-demographics-walking": 2,
    "head-pose-face-detection-female-and-male": 2,
    "head-pose-face-detection-male": 1,
}


def clear_faces(split: str, folder: Path, agreement: float = 0.5) -> FerFaces:
    """Return the faces of a split on which a share `agreement` of the ten votes agree."""
    faces = load_faces(split, folder)
    return faces[slices.agreement(faces.votes) >= agreement]


def clip(path: Path) -> list[Image]:
    """Return the frames of a video file, each uint8 (H, W, 3) BGR."""
    capture = cv2.VideoCapture(str(path))
    frames: list[Image] = []
    while True:
        read, frame = capture.read()
        if not read:
            return frames
        frames.append(np.asarray(frame, np.uint8))


def clips(folder: Path) -> Iterator[tuple[str, int, list[Image]]]:
    """Give each known clip of the folder: its name, the people in each frame, and the frames."""
    for name, people in PEOPLE.items():
        path = folder / f"{name}.gif"
        if path.is_file():
            yield name, people, clip(path)
