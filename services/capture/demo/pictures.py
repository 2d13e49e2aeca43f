"""Loads the pictures of the demo's people and the points that move them.

`python -m emostream.models.demo_pictures` creates the files from the training data.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models.labels import LABELS
from emostream.shared.errors import SourceError
from emostream.shared.pixels import Image

FOLDER = Path(__file__).parent
PEOPLE, FACES, POINTS = (FOLDER / name for name in ("people.webp", "faces.webp", "points.npz"))
# Each person's portrait: its size, the x of its left side, and parts of it as left, top, right,
# bottom: the area that an expression changes, the area that moves with the head, and the rest
# below.
WIDTH, HEIGHT, LEFT = 760, 1000, -60
FACE = (150, 180, 490, 572)
HEAD = (100, 60, 540, 660)
BODY = (-60, 560, 700, 1000)


@dataclass(frozen=True, slots=True)
class Points:
    """The points that the demo moves, in pixels of the portrait.

    `emotions` are the labels of the pictures, in order. `drawn` has the points in the picture of
    each emotion, float32 (emotions, P, 2), and `rest` the points of each person, float32 (people,
    emotions, P, 2). `depth` (away from the camera) and `follow` (how much each point follows the
    head, 0 to 1) are float32 (P,). `triangles`, int32 (T, 3), cover the picture. `index` maps a
    face mesh vertex to the number of its point.
    """

    emotions: tuple[str, ...]
    drawn: NDArray[np.float32]
    rest: NDArray[np.float32]
    depth: NDArray[np.float32]
    follow: NDArray[np.float32]
    triangles: NDArray[np.int32]
    index: dict[int, int]


@cache
def load_points() -> Points:
    """Return the points. Raises SourceError if the file is missing or damaged."""
    try:
        with np.load(POINTS) as saved:
            content: dict[str, Any] = dict(saved)
        return Points(
            emotions=tuple(LABELS[number] for number in content["emotions"]),
            drawn=content["drawn"],
            rest=content["rest"],
            depth=content["depth"],
            follow=content["follow"],
            triangles=content["triangles"].astype(np.int32),
            index={int(vertex): place for place, vertex in enumerate(content["vertices"])},
        )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise SourceError(f"{POINTS}: cannot read the demo's points; restore the file") from error


@dataclass(frozen=True, slots=True)
class Sprite:
    """A piece of a portrait, premultiplied BGRA, uint8 (H, W, 4); `at` is its top left pixel."""

    pixels: Image
    at: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Person:
    """A person's head with each emotion, in the order of the points, and the body."""

    heads: list[Sprite]
    body: Sprite


@cache
def load_people() -> list[Person]:
    """Return the people. Raises SourceError if a file is missing or damaged."""
    shape = load_points().rest.shape
    left, top, right, bottom = FACE
    people = _sheet(PEOPLE, (HEIGHT, WIDTH * shape[0], 4))
    faces = _sheet(FACES, ((bottom - top) * shape[0], (right - left) * shape[1], 4))
    # Compression leaks color into transparent areas, which would glow.
    for sheet in (people, faces):
        np.minimum(sheet[..., :3], sheet[..., 3:], out=sheet[..., :3])
    rows = np.vsplit(faces, shape[0])
    return [
        Person(
            [_head(portrait, face) for face in np.hsplit(row, shape[1])],
            Sprite(np.ascontiguousarray(_cut(portrait, BODY)), BODY[:2]),
        )
        for portrait, row in zip(np.hsplit(people, shape[0]), rows, strict=True)
    ]


def _sheet(path: Path, shape: tuple[int, int, int]) -> Image:
    sheet = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if sheet is None or sheet.shape != shape:
        raise SourceError(f"{path}: cannot read the demo's pictures; restore the file")
    return np.asarray(sheet, np.uint8)


def _cut(portrait: Image, part: tuple[int, int, int, int]) -> Image:
    left, top, right, bottom = part
    return portrait[top:bottom, left - LEFT : right - LEFT]


def _head(portrait: Image, face: Image) -> Sprite:
    head = _cut(portrait, HEAD).copy()
    top, left = FACE[1] - HEAD[1], FACE[0] - HEAD[0]
    head[top : top + face.shape[0], left : left + face.shape[1]] = face
    return Sprite(head, HEAD[:2])
