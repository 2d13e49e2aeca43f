"""Pictures with a known answer: faces of the training data in drawn scenes, and the clips."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.data import SIDE as FACE
from models.data import Faces, read

Image = NDArray[np.uint8]
WIDTH, HEIGHT = 1280, 720
PEOPLE = {
    "face-demographics-walking": 2,
    "head-pose-face-detection-female-and-male": 2,
    "head-pose-face-detection-male": 1,
}


@dataclass(frozen=True)
class Scene:
    """A picture, uint8 (720, 1280, 3) BGR, and the squares its faces fill: (N, 4) x, y, w, h."""

    picture: Image
    faces: NDArray[np.float64]


def clear_faces(split: str, folder: Path, agreement: float = 0.5) -> Faces:
    """Return the faces of a split on which a share `agreement` of the ten votes agree."""
    faces = read(split, folder)
    votes = faces.votes.astype(float)
    share = votes[:, :8].max(axis=1) / np.maximum(votes.sum(axis=1), 1)
    return faces[share >= agreement]


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


def scenes(faces: Image, count: int, seed: int = 1) -> Iterator[Scene]:
    """Draw `count` scenes of one to four faces, 80 to 300 pixels wide, turned up to 15 degrees."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        picture = background(random)
        squares = places(random, int(random.integers(1, 5)))
        for square in squares:
            paste(picture, faces[random.integers(len(faces))], square, random)
        noise = random.normal(0, random.uniform(1, 5), picture.shape)
        yield Scene(np.clip(picture + noise, 0, 255).astype(np.uint8), squares)


def background(random: np.random.Generator) -> NDArray[np.float32]:
    """Draw a blurred room: a gradient, cloudy texture, furniture and round things."""
    corners = np.stack([np.stack([_color(random) for _ in range(2)]) for _ in range(2)])
    picture = np.asarray(cv2.resize(corners, (WIDTH, HEIGHT)), np.float32)
    for cell in (8, 32, 128):
        cloud = random.normal(0, 8, (HEIGHT // cell + 1, WIDTH // cell + 1, 1)).astype(np.float32)
        cloud = np.repeat(cloud, 3, axis=2)
        picture += np.asarray(cv2.resize(cloud, (WIDTH, HEIGHT)), np.float32)
    for _ in range(int(random.integers(10, 30))):
        _furniture(picture, random)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), random.uniform(0.5, 3)), np.float32)


def _color(random: np.random.Generator) -> NDArray[np.float32]:
    """Choose a muted color: any lightness, little saturation."""
    return (random.uniform(20, 230) + random.normal(0, 12, 3)).astype(np.float32)


def _furniture(picture: NDArray[np.float32], random: np.random.Generator) -> None:
    color = _color(random).tolist()
    x, y = (int(v) for v in random.uniform(0, (WIDTH, HEIGHT)))
    w, h = (int(v) for v in random.uniform(20, 300, 2))
    shape = random.integers(3)
    if shape == 0:
        cv2.rectangle(picture, (x, y), (x + w, y + h), color, -1)
    elif shape == 1:
        cv2.ellipse(picture, (x, y), (w // 2, h // 2), 0, 0, 360, color, -1)
    else:
        cv2.line(picture, (x, y), (x + 2 * w, y - h), color, int(random.integers(2, 12)))


def places(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Choose squares that do not touch: up to `count` rows of x, y, side, side."""
    chosen: list[tuple[float, float, float, float]] = []
    for _ in range(20 * count):
        side = float(np.exp(random.uniform(np.log(80), np.log(300))))
        x, y = random.uniform(0, WIDTH - side), random.uniform(0, HEIGHT - side)
        apart = all(x + side < a or a + w < x or y + side < b or b + h < y for a, b, w, h in chosen)
        if apart and len(chosen) < count:
            chosen.append((float(x), float(y), side, side))
    return np.array(chosen).reshape(-1, 4)


def paste(
    picture: NDArray[np.float32],
    face: Image,
    square: NDArray[np.float64],
    random: np.random.Generator,
    turn: float = 15.0,
) -> None:
    """Draw `face` over `square` of `picture`: tinted like skin, faded at its rim.

    It is turned by up to `turn` degrees, to either side.
    """
    x, y, side, _ = square
    middle = ((FACE - 1) / 2, (FACE - 1) / 2)
    turned = cv2.getRotationMatrix2D(middle, random.uniform(-turn, turn), 1)
    scale = side / FACE
    corner = (scale - 1) / 2
    move = np.array([[scale, 0, x + corner], [0, scale, y + corner], [0, 0, 1]]) @ np.vstack(
        [turned, [0, 0, 1]]
    )
    warm = np.array([0.80, 0.92, 1.08]) if random.random() < 0.7 else np.ones(3)
    rim = np.full((FACE, FACE), 0, np.float32)
    rim[3:-3, 3:-3] = 1
    rim = np.asarray(cv2.GaussianBlur(rim, (0, 0), 1.5), np.float32)
    size = picture.shape[1::-1]
    cover = cv2.warpAffine(rim, move[:2], size, flags=cv2.INTER_LINEAR)[..., None]
    drawn = cv2.warpAffine(
        face.astype(np.float32),
        move[:2],
        size,
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    picture += cover * (drawn[..., None] * warm.astype(np.float32) - picture)
