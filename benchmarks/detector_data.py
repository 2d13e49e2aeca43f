"""Data for detector benchmarks: clear faces to draw into scenes, and clips of people."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.frames import read_frames
from emostream.models.evaluation import slices
from emostream.models.ferplus import FerFaces, load_faces
from emostream.shared.pixels import Image

# The number of people in every frame of each clip.
PEOPLE = {
    "face-demographics-walking": 2,
    "head-pose-face-detection-female-and-male": 2,
    "head-pose-face-detection-male": 1,
}


def clear_faces(split: str, folder: Path, agreement: float = 0.5) -> FerFaces:
    """Return the faces of a split on which a share `agreement` of the ten votes agree."""
    faces = load_faces(split, folder)
    return faces[slices.agreement(faces.votes) >= agreement]


def load_clips(folder: Path) -> Iterator[tuple[str, int, list[Image]]]:
    """Yield each known clip of the folder: its name, the people per frame, and the frames."""
    for name, people in PEOPLE.items():
        path = folder / f"{name}.gif"
        if path.is_file():
            yield name, people, read_frames(path)
