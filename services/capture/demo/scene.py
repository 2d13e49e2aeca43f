"""The demo's scene: people whose every box and emotion is known, drawn frame by frame."""

import math
import random
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models.labels import LABELS
from emostream.services.capture.demo.sprites import (
    APPEARANCES,
    FACE_BOX,
    HEIGHT,
    WIDTH,
    emotion_sprites,
)
from emostream.shared.pixels import Image

HOLD_S, MORPH_S = 3.2, 0.8
BACKGROUND_TOP, BACKGROUND_BOTTOM = (92, 74, 58), (46, 34, 28)


@dataclass(frozen=True, slots=True)
class TrueFace:
    """The ground truth of a face in the demo.

    `box` is x, y, width, height in pixels of the frame, `label` the stronger emotion, `mix` the
    weight of each emotion shown (one of weight 1, or two that sum to 1 while it morphs), `angle`
    the turn in the picture in degrees, clockwise.
    """

    person: int
    box: tuple[float, float, float, float]
    label: str
    mix: dict[str, float]
    angle: float


class _Person:
    """One actor: what it shows and where it is at each time, all from the seed."""

    def __init__(self, index: int, rng: random.Random) -> None:
        self.index = index
        self.emotions = rng.sample(range(len(LABELS)), len(LABELS))
        self.phase = rng.random()
        self.speeds = [rng.uniform(0.8, 1.2) for _ in range(4)]
        self.phases = [rng.uniform(0, math.tau) for _ in range(4)]

    @cached_property
    def sprites(self) -> list[Image]:
        return emotion_sprites(APPEARANCES[self.index % len(APPEARANCES)])

    def wave(self, axis: int, period: float, t: float) -> float:
        """A slow swing from -1 to 1; each axis has its own pace and start."""
        return math.sin(math.tau * t / period * self.speeds[axis] + self.phases[axis])

    def expression(self, t: float) -> tuple[int, int, float]:
        """The emotion shown, the next one, and the weight of the next."""
        step, rest = divmod(t / (HOLD_S + MORPH_S) + self.phase, 1)
        now, after = (self.emotions[(int(step) + k) % len(LABELS)] for k in (0, 1))
        x = max(0.0, (rest * (HOLD_S + MORPH_S) - HOLD_S) / MORPH_S)
        return now, after, x * x * (3 - 2 * x)


class DemoScene:
    """Frames of `faces` people at `fps`, the same for the same arguments.

    `frame(n)` is drawn and `truth(n)` is its ground truth; both take any n >= 0 in any order.
    """

    def __init__(
        self, width: int = 1280, height: int = 720, faces: int = 3, fps: float = 25, seed: int = 1
    ) -> None:
        rng = random.Random(seed)
        self.width, self.height, self.fps = width, height, fps
        self._people = [_Person(index, rng) for index in range(faces)]
        self._background = _background(width, height, seed)
        self._largest = min(0.36 * height, 0.62 * width / max(faces, 1))

    def frame(self, n: int) -> Image:
        """The n-th frame, uint8 (height, width, 3) BGR, a new array each time."""
        picture = self._background.copy()
        t = n / self.fps
        # The larger stand nearer, so they are drawn last.
        for person in sorted(self._people, key=lambda person: self._size(person, t)):
            _paste(picture, _morph(person, t), self._placement(person, t))
        return picture

    def truth(self, n: int) -> list[TrueFace]:
        """The faces of the n-th frame, in the order of the people."""
        return [self._true_face(person, n / self.fps) for person in self._people]

    def _true_face(self, person: _Person, t: float) -> TrueFace:
        x, y, w, h = FACE_BOX
        matrix = self._placement(person, t)
        center = matrix @ (x + w / 2, y + h / 2, 1)
        scale = self._size(person, t) / h
        size = np.array((w, h)) * scale
        left, top = center - size / 2
        now, after, weight = person.expression(t)
        mix = {LABELS[now]: 1 - weight, LABELS[after]: weight} if weight else {LABELS[now]: 1.0}
        return TrueFace(
            person=person.index,
            box=(float(left), float(top), float(size[0]), float(size[1])),
            label=max(mix, key=mix.__getitem__),
            mix=mix,
            angle=self._angle(person, t),
        )

    def _size(self, person: _Person, t: float) -> float:
        """Height of the face in pixels."""
        return self._largest * (0.72 + 0.28 * person.wave(0, 17, t))

    def _angle(self, person: _Person, t: float) -> float:
        return 10 * person.wave(1, 7, t)

    def _placement(self, person: _Person, t: float) -> NDArray[np.float64]:
        """The affine map (2, 3) from the sprite to the frame."""
        slot = self.width / len(self._people)
        sway = math.sin(math.tau * t / 23)
        x = slot * (person.index + 0.5 + 0.07 * person.wave(2, 9, t) + 0.06 * sway)
        y = self.height * (0.42 + 0.10 * person.wave(3, 11, t))
        left, top, w, h = FACE_BOX
        scale = self._size(person, t) / h
        center = (left + w / 2, top + h / 2)
        matrix = cv2.getRotationMatrix2D(center, -self._angle(person, t), scale)
        matrix[:, 2] += np.array((x - center[0], y - center[1]))
        return np.asarray(matrix, np.float64)


def _morph(person: _Person, t: float) -> Image:
    now, after, weight = person.expression(t)
    if not weight:
        return person.sprites[now]
    mixed = cv2.addWeighted(person.sprites[now], 1 - weight, person.sprites[after], weight, 0)
    return np.asarray(mixed, np.uint8)


def _paste(picture: Image, sprite: Image, matrix: NDArray[np.float64]) -> None:
    """Draw a premultiplied BGRA sprite into the picture through the affine map."""
    corners = matrix @ np.array([(0, 0, 1), (WIDTH, 0, 1), (0, HEIGHT, 1), (WIDTH, HEIGHT, 1)]).T
    limit = np.array([[picture.shape[1]], [picture.shape[0]]])
    low = np.clip(np.floor(corners.min(axis=1, keepdims=True)), 0, limit).astype(int)
    high = np.clip(np.ceil(corners.max(axis=1, keepdims=True)), 0, limit).astype(int)
    (x0, y0), (x1, y1) = low[:, 0], high[:, 0]
    if x0 >= x1 or y0 >= y1:
        return
    local = matrix.copy()
    local[:, 2] -= (x0, y0)
    warped = cv2.warpAffine(sprite, local, (int(x1 - x0), int(y1 - y0)))
    keep = cv2.cvtColor(cv2.bitwise_not(warped[..., 3]), cv2.COLOR_GRAY2BGR)
    region = picture[y0:y1, x0:x1]
    behind = cv2.multiply(region, keep, scale=1 / 255)
    cv2.add(behind, cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR), dst=region)


def _background(width: int, height: int, seed: int) -> Image:
    """A dim wall with soft lights out of focus, uint8 (height, width, 3) BGR."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    ramp = (y / height)[..., None]
    wall = (1 - ramp) * np.array(BACKGROUND_TOP) + ramp * np.array(BACKGROUND_BOTTOM)
    glow = np.hypot(x / width - 0.5, y / height - 0.38)[..., None]
    wall = wall * (1.35 - 0.9 * glow)
    for _ in range(14):
        center, radius = rng.uniform(0, 1, 2) * (width, 0.8 * height), rng.uniform(0.03, 0.1)
        distance = np.hypot(x - center[0], y - center[1]) / (radius * height)
        disc = np.clip((1.1 - distance) / 0.2, 0, 1)[..., None]
        wall = wall + disc * rng.uniform(4, 12) * np.array(rng.uniform(0.6, 1.4, 3))
    # A little noise keeps the slow gradients from showing bands.
    wall = wall + rng.normal(0, 1, (height, width, 1))
    return np.asarray(np.clip(wall, 0, 255), np.uint8)
