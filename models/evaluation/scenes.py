"""Synthetic scenes with ground truth: faces drawn into rooms of 1280 x 720 pixels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.shared.pixels import Image

Floats: TypeAlias = NDArray[np.float64]
Canvas: TypeAlias = NDArray[np.float32]

WIDTH, HEIGHT = 1280, 720
MOST_FACES = 4
RIM = 3 / 48  # share of the face's side that fades into the room
SKIN = np.array([0.80, 0.92, 1.08], np.float32)  # BGR, over gray


@dataclass(frozen=True)
class SceneStyle:
    """How faces are drawn: sides in pixels, rotated by up to `turn` degrees to either side.

    With `turn_exactly`, all are rotated by exactly that; `corrupt` changes the finished picture.
    """

    smallest: float = 80
    largest: float = 300
    turn: float = 15
    turn_exactly: bool = False
    corrupt: Callable[[Image, np.random.Generator], Image] | None = None


@dataclass(frozen=True)
class Scene:
    """A picture, uint8 (720, 1280, 3) BGR, and the positions of its faces.

    `indices` (N,) identifies the faces, `faces` (N, 4) are their squares x, y, w, h, and
    `placements` (N, 2, 3) map the unit square to each face, including its rotation.
    """

    picture: Image
    indices: NDArray[np.intp]
    faces: Floats
    placements: Floats


def draw_scenes(faces: Image, seed: int = 1, style: SceneStyle | None = None) -> Iterator[Scene]:
    """Draw each face of uint8 (N, H, H) once, one to four per scene, in an order set by `seed`."""
    style = style or SceneStyle()
    random = np.random.default_rng(seed)
    left = random.permutation(len(faces))
    while len(left):
        count = min(int(random.integers(1, MOST_FACES + 1)), len(left))
        squares = choose_squares(random, count, style)
        drawn, left = left[: len(squares)], left[len(squares) :]
        yield _scene(faces, drawn, squares, style, random)


def _scene(
    faces: Image,
    drawn: NDArray[np.intp],
    squares: Floats,
    style: SceneStyle,
    random: np.random.Generator,
) -> Scene:
    canvas = background(random)
    placed = []
    for index, square in zip(drawn, squares, strict=True):
        turn = _turn(style, random)
        placed.append(draw_face(canvas, faces[index], square, turn, random_tint(random)))
    strength = np.float32(random.uniform(1, 5))
    canvas += strength * random.standard_normal(canvas.shape, np.float32)
    picture = np.clip(canvas, 0, 255).astype(np.uint8)
    if style.corrupt:
        picture = style.corrupt(picture, random)
    return Scene(picture, drawn, squares, np.array(placed))


def _turn(style: SceneStyle, random: np.random.Generator) -> float:
    if style.turn_exactly:
        return float(random.choice([-style.turn, style.turn]))
    return float(random.uniform(-style.turn, style.turn))


def background(random: np.random.Generator) -> Canvas:
    """Draw a blurred room, float32 (720, 1280, 3), with a gradient, a cloudy texture, furniture."""
    corners = np.stack([np.stack([_color(random) for _ in range(2)]) for _ in range(2)])
    picture = np.asarray(cv2.resize(corners, (WIDTH, HEIGHT)), np.float32)
    for cell in (8, 32, 128):
        cloud = random.normal(0, 8, (HEIGHT // cell + 1, WIDTH // cell + 1, 1)).astype(np.float32)
        picture += np.asarray(cv2.resize(cloud, (WIDTH, HEIGHT)), np.float32)[..., None]
    for _ in range(int(random.integers(10, 30))):
        _furniture(picture, random)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), random.uniform(0.5, 3)), np.float32)


def _color(random: np.random.Generator) -> Canvas:
    """Choose a muted color, with any lightness and low saturation."""
    return (random.uniform(20, 230) + random.normal(0, 12, 3)).astype(np.float32)


def _furniture(picture: Canvas, random: np.random.Generator) -> None:
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


def choose_squares(random: np.random.Generator, count: int, style: SceneStyle) -> Floats:
    """Choose one to `count` squares that do not touch, as rows of x, y, side, side."""
    chosen: list[tuple[float, float, float, float]] = []
    low, high = np.log([style.smallest, style.largest])
    for _ in range(20 * count):
        side = float(np.exp(random.uniform(low, high)))
        x, y = random.uniform(0, WIDTH - side), random.uniform(0, HEIGHT - side)
        apart = all(x + side < a or a + w < x or y + side < b or b + h < y for a, b, w, h in chosen)
        if apart and len(chosen) < count:
            chosen.append((float(x), float(y), side, side))
    return np.array(chosen).reshape(-1, 4)


def paste(
    picture: Canvas,
    face: Image,
    square: Floats,
    random: np.random.Generator,
    turn: float = 15.0,
) -> None:
    """Draw `face`, uint8 (H, H), over `square` of `picture`, tinted like skin, with faded edges.

    It is rotated by up to `turn` degrees to either side.
    """
    draw_face(picture, face, square, float(random.uniform(-turn, turn)), random_tint(random))


def random_tint(random: np.random.Generator) -> Canvas:
    """Return the tint of a face, float32 (3,) BGR: a skin color, or gray."""
    return SKIN if random.random() < 0.7 else np.ones(3, np.float32)


def draw_face(picture: Canvas, face: Image, square: Floats, degrees: float, tint: Canvas) -> Floats:
    """Draw the face and return its placement, 2 x 3; only the pixels that it covers change.

    Parts beyond the border of the picture are not drawn.
    """
    placement = _placement(square, degrees)
    corners = placement @ np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]], np.float64)
    limit = np.array(picture.shape[1::-1])
    low = np.clip(np.floor(corners.min(axis=1)), 0, limit).astype(int)
    high = np.clip(np.ceil(corners.max(axis=1)), 0, limit).astype(int)
    part = picture[low[1] : high[1], low[0] : high[0]]
    if not part.size:
        return placement
    side = face.shape[0]
    # From pixel indices of the face to those of the part; an index is a pixel's center.
    linear = placement[:, :2] / side
    move = np.column_stack([linear, placement[:, 2] - low + linear @ [0.5, 0.5] - 0.5])
    size = (part.shape[1], part.shape[0])
    cover = cv2.warpAffine(_rim(side), move, size, flags=cv2.INTER_LINEAR)[..., None]
    drawn = cv2.warpAffine(
        face.astype(np.float32),
        move,
        size,
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    part += cover * (drawn[..., None] * tint - part)
    return placement


def _placement(square: Floats, degrees: float) -> Floats:
    """Return the 2 x 3 matrix from the unit square to `square`, rotated around its center."""
    x, y, side, _ = square
    angle = np.radians(degrees)
    linear = side * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.column_stack([linear, np.array([x, y]) + side / 2 - linear @ [0.5, 0.5]])


def _rim(side: int) -> Canvas:
    """Return the opacity of each pixel of a face: 1, fading to 0 at the edge."""
    edge = round(RIM * side)
    rim = np.zeros((side, side), np.float32)
    rim[edge : side - edge, edge : side - edge] = 1
    return np.asarray(cv2.GaussianBlur(rim, (0, 0), max(0.1, RIM * side / 2)), np.float32)
