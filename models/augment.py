"""Seeded augmentation of batches of faces: geometry, light, resolution, erasing, mixup."""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from models.data import Bytes, Floats

ROTATION: Final = 15.0  # degrees either way
SCALE: Final = (0.85, 1.15)
SHIFT: Final = 0.08  # of the side, either way
CONTRAST: Final = (0.6, 1.4)
BRIGHTNESS: Final = 30.0  # of 255, either way
COARSE: Final = (0.4, 0.9)  # resolution that is left of the face, where it is made coarser
ERASED: Final = (0.15, 0.4)  # of the side


def augment(faces: Bytes, rng: np.random.Generator) -> Bytes:
    """Return changed copies of square faces uint8 (N, S, S), the same for the same generator."""
    count, side = faces.shape[:2]
    turns = transforms(count, side, rng)
    coarse = np.where(rng.random(count) < 0.3, rng.uniform(*COARSE, count), 1.0)
    moved = np.empty_like(faces)
    for out, face, turn, resolution in zip(moved, faces, turns, coarse, strict=True):
        if resolution < 1:
            face = _coarser(face, resolution)
        cv2.warpAffine(face, turn, (side, side), dst=out, borderMode=cv2.BORDER_REPLICATE)
    return erase(relight(moved, rng), rng)


def transforms(count: int, side: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw affine maps (N, 2, 3) about the middle: mirror, rotation, scale, shift."""
    angle = np.radians(rng.uniform(-ROTATION, ROTATION, count))
    scale = rng.uniform(*SCALE, count)
    mirror = rng.choice([-1.0, 1.0], count)
    middle = (side - 1) / 2
    linear = np.empty((count, 2, 2))
    linear[:, 0] = np.stack([np.cos(angle) * mirror, -np.sin(angle)], 1) * scale[:, None]
    linear[:, 1] = np.stack([np.sin(angle) * mirror, np.cos(angle)], 1) * scale[:, None]
    shift = rng.uniform(-SHIFT, SHIFT, (count, 2)) * side + middle - linear.sum(axis=2) * middle
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def relight(faces: Bytes, rng: np.random.Generator) -> Bytes:
    """Change contrast and brightness of each face; what leaves 0..255 is cut off."""
    contrast = rng.uniform(*CONTRAST, (len(faces), 1, 1)).astype(np.float32)
    brightness = rng.uniform(-BRIGHTNESS, BRIGHTNESS, (len(faces), 1, 1)).astype(np.float32)
    return _bytes((faces - np.float32(128)) * contrast + 128 + brightness)


def erase(faces: Bytes, rng: np.random.Generator, share: float = 0.3) -> Bytes:
    """Fill one square in a share of the faces with its mean (Zhong et al. 2017), in place."""
    side = faces.shape[1]
    for index in np.flatnonzero(rng.random(len(faces)) < share):
        size = round(rng.uniform(*ERASED) * side)
        top, left = rng.integers(0, side - size + 1, 2)
        square = faces[index, top : top + size, left : left + size]
        square[...] = round(square.mean())
    return faces


def mixup(
    faces: Bytes, targets: Floats, alpha: float, rng: np.random.Generator
) -> tuple[Bytes, Floats]:
    """Mix each face and its target with another of the batch (Zhang et al. 2017)."""
    weight = rng.beta(alpha, alpha, len(faces)).astype(np.float32)
    other = rng.permutation(len(faces))
    mixed = faces * weight[:, None, None] + faces[other] * (1 - weight)[:, None, None]
    return _bytes(mixed), targets * weight[:, None] + targets[other] * (1 - weight)[:, None]


def _coarser(face: Bytes, resolution: float) -> Bytes:
    side = max(1, round(resolution * face.shape[0]))
    small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, face.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _bytes(faces: Floats) -> Bytes:
    return np.clip(np.rint(faces), 0, 255).astype(np.uint8)
