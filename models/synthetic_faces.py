"""Deterministic synthetic faces, for checks without pictures of people."""

import cv2
import numpy as np

from emostream.shared.pixels import Image

SIDE = 64


def synthetic_faces(count: int, seed: int = 0) -> Image:
    """Return drawn gray faces, uint8 (count, 64, 64), with varied light, position and mouth."""
    random = np.random.default_rng(seed)
    return np.stack([_synthetic_face(random) for _ in range(count)])


def _synthetic_face(random: np.random.Generator) -> Image:
    slope = np.linspace(-1, 1, SIDE) * random.uniform(-40, 40)
    picture = random.uniform(40, 160) + slope[None, :] + random.normal(0, 6, (SIDE, SIDE))
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    x, y = (int(place) for place in random.integers(27, 38, 2))
    skin, dark = random.uniform(110, 240), random.uniform(10, 90)
    cv2.ellipse(picture, (x, y), (22, 28), random.uniform(-10, 10), 0, 360, skin, -1)
    for side in (-9, 9):
        eye = (x + side, y - 8)
        cv2.ellipse(picture, eye, (4, int(random.integers(1, 5))), 0, 0, 360, dark, -1)
        tilt = int(random.integers(-3, 4))
        cv2.line(picture, (eye[0] - 5, eye[1] - 7), (eye[0] + 5, eye[1] - 7 + tilt), dark, 2)
    mouth = (int(random.integers(4, 11)), int(random.integers(1, 9)))
    start = float(random.choice([0, 180]))
    cv2.ellipse(picture, (x, y + 13), mouth, 0, start, start + 180, dark, 2)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), random.uniform(0.5, 2)), np.uint8)
