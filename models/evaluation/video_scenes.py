"""Synthetic video with ground truth: still scenes, and faces that move through rooms."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emostream.models.evaluation.scenes import (
    HEIGHT,
    WIDTH,
    Floats,
    SceneStyle,
    background,
    draw_face,
    draw_scenes,
    random_tint,
)
from emostream.shared.pixels import Image

FPS: Final = 25
STILL_FRAMES: Final = 8  # frames per still scene
MOVING_FRAMES: Final = 75  # frames per room with moving faces
MOST_MOVING: Final = 4
FASTEST: Final = 0.9  # maximum movement in 0.2 s, in sides of the face
SEEN: Final = 0.75  # share of a face that must be visible for it to count


@dataclass(frozen=True)
class TrueFaces:
    """The faces of one frame: identities and positions.

    `people` (N,) are unique numbers within the video, `indices` (N,) are the dataset's faces,
    `squares` (N, 4) are x, y, side, side in pixels. `counts` (N,) is whether a detector has to find
    the face, which is not the case if most of it is covered or outside the frame.
    """

    people: NDArray[np.intp]
    indices: NDArray[np.intp]
    squares: Floats
    counts: NDArray[np.bool_]


def still_video(
    faces: Image, seed: int, style: SceneStyle | None = None
) -> Iterator[tuple[Image, TrueFaces]]:
    """Yield each scene of `draw_scenes` for `STILL_FRAMES` frames, uint8 (720, 1280, 3) BGR."""
    people = 0
    for scene in draw_scenes(faces, seed, style):
        numbers = people + np.arange(len(scene.indices))
        people += len(numbers)
        truth = TrueFaces(numbers, scene.indices, scene.faces, np.ones(len(numbers), bool))
        for _ in range(STILL_FRAMES):
            yield scene.picture, truth


@dataclass(frozen=True)
class _Walker:
    """A moving face, with its center at `start` + frame x `step` (x, y)."""

    person: int
    index: int
    side: float
    degrees: float
    start: Floats
    step: Floats
    tint: NDArray[np.float32]

    def square(self, frame: int) -> Floats:
        x, y = self.start + frame * self.step - self.side / 2
        return np.array([x, y, self.side, self.side])


def moving_video(
    faces: Image, seed: int, style: SceneStyle | None = None
) -> Iterator[tuple[Image, TrueFaces]]:
    """Yield rooms in which faces enter, cross and leave, `MOVING_FRAMES` frames each.

    Each face of uint8 (N, H, H) moves once, at a constant speed; one to four share a room, and
    larger ones pass in front of smaller ones.
    """
    style = style or SceneStyle()
    random = np.random.default_rng(seed)
    left, people = random.permutation(len(faces)), 0
    while len(left):
        count = min(int(random.integers(1, MOST_MOVING + 1)), len(left))
        drawn, left = left[:count], left[count:]
        walkers = [
            _walker(people + place, int(index), style, random) for place, index in enumerate(drawn)
        ]
        people += count
        yield from _room(faces, sorted(walkers, key=lambda one: one.side), random)


def _walker(person: int, index: int, style: SceneStyle, random: np.random.Generator) -> _Walker:
    """Return a path on which a face enters at one side, within the first third, and leaves."""
    side = float(np.exp(random.uniform(*np.log([style.smallest, style.largest]))))
    place = _beyond_an_edge(side, random)
    target = np.array([random.uniform(0.2, 0.8) * WIDTH, random.uniform(0.3, 0.7) * HEIGHT])
    way = target - place
    # At the end it is outside the frame again, unless that would be unnaturally fast.
    speed = min(2 * float(np.linalg.norm(way)) / (0.7 * MOVING_FRAMES), FASTEST * side / 5)
    step = way / np.linalg.norm(way) * speed
    start = place - random.uniform(0, MOVING_FRAMES / 3) * step
    degrees = float(random.uniform(-style.turn, style.turn))
    return _Walker(person, index, side, degrees, start, step, random_tint(random))


def _beyond_an_edge(side: float, random: np.random.Generator) -> Floats:
    """Return a center just outside the frame: left, right, above or below."""
    across, down = random.uniform(0.2, 0.8, 2) * (WIDTH, HEIGHT)
    half = side / 2
    edges = [(-half, down), (WIDTH + half, down), (across, -half), (across, HEIGHT + half)]
    # Most people come from the left or right.
    return np.array(edges[random.choice(4, p=[0.4, 0.4, 0.1, 0.1])])


def _room(
    faces: Image, walkers: list[_Walker], random: np.random.Generator
) -> Iterator[tuple[Image, TrueFaces]]:
    wall = background(random)
    noise = np.float32(random.uniform(1, 5)) * random.standard_normal(wall.shape, np.float32)
    for frame in range(MOVING_FRAMES):
        canvas = wall.copy()
        squares = np.array([walker.square(frame) for walker in walkers])
        for walker, square in zip(walkers, squares, strict=True):
            draw_face(canvas, faces[walker.index], square, walker.degrees, walker.tint)
        shift = (int(random.integers(HEIGHT)), int(random.integers(WIDTH)))
        canvas += np.roll(noise, shift, (0, 1))
        yield np.clip(canvas, 0, 255).astype(np.uint8), _truth(walkers, squares)


def _truth(walkers: list[_Walker], squares: Floats) -> TrueFaces:
    """Return the faces of a frame; later ones cover earlier ones."""
    seen = np.array([_seen(square, squares[place + 1 :]) for place, square in enumerate(squares)])
    present = seen > 0
    people = np.array([walker.person for walker in walkers], np.intp)
    indices = np.array([walker.index for walker in walkers], np.intp)
    return TrueFaces(people[present], indices[present], squares[present], seen[present] >= SEEN)


def _seen(square: Floats, above: Floats) -> float:
    """Return the share of a square that is inside the frame and not covered."""
    grid = (np.arange(16) + 0.5) / 16
    x, y = square[0] + grid * square[2], square[1] + grid * square[3]
    inside = ((x >= 0) & (x < WIDTH))[None] & ((y >= 0) & (y < HEIGHT))[:, None]
    for left, top, width, height in above:
        covered = ((x >= left) & (x < left + width))[None] & ((y >= top) & (y < top + height))[
            :, None
        ]
        inside &= ~covered
    return float(inside.mean())
