"""Seeded augmentation of batches of faces: geometry, light, resolution, erasing, mixup."""

from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from emostream.models.ferplus import Floats
from emostream.shared.pixels import Image

Targets: TypeAlias = dict[str, Floats]

ROTATION: Final = 8.0  # degrees either way
SCALE: Final = (0.93, 1.1)
SHIFT: Final = 0.05  # of the side, either way
CONTRAST: Final = (0.7, 1.3)
BRIGHTNESS: Final = 25.0  # of 255, either way
DEGRADED_SHARE: Final = 0.2  # share of the faces that are downsampled, blurred or compressed
RESOLUTION: Final = (0.4, 0.9)  # remaining resolution
BLUR_SIGMA: Final = (0.5, 1.5)  # standard deviation in pixels
JPEG_QUALITY: Final = (20, 80)  # quality
ERASED_SHARE: Final = 0.1  # share of the faces with an erased square
ERASED_SIDE: Final = (0.15, 0.4)  # of the side


def augment(faces: Image, rng: np.random.Generator) -> Image:
    """Return augmented copies of square faces uint8 (N, S, S), deterministic for a generator."""
    count, side = faces.shape[:2]
    turns = transforms(count, side, rng)
    worse = np.flatnonzero(rng.random(count) < DEGRADED_SHARE)
    moved = np.empty_like(faces)
    for index in range(count):
        seen = degrade(faces[index], rng) if index in worse else faces[index]
        border = cv2.BORDER_REPLICATE
        cv2.warpAffine(seen, turns[index], (side, side), dst=moved[index], borderMode=border)
    return erase(relight(moved, rng), rng)


def transforms(count: int, side: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw random affine maps (N, 2, 3) around the center: mirror, rotation, scale, shift."""
    angle = np.radians(rng.uniform(-ROTATION, ROTATION, count))
    scale = rng.uniform(*SCALE, count)
    mirror = rng.choice([-1.0, 1.0], count)
    middle = (side - 1) / 2
    linear = np.empty((count, 2, 2))
    linear[:, 0] = np.stack([np.cos(angle) * mirror, -np.sin(angle)], 1) * scale[:, None]
    linear[:, 1] = np.stack([np.sin(angle) * mirror, np.cos(angle)], 1) * scale[:, None]
    shift = rng.uniform(-SHIFT, SHIFT, (count, 2)) * side + middle - linear.sum(axis=2) * middle
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def relight(faces: Image, rng: np.random.Generator) -> Image:
    """Change contrast and brightness of each face, clipped to 0..255."""
    contrast = rng.uniform(*CONTRAST, (len(faces), 1, 1)).astype(np.float32)
    brightness = rng.uniform(-BRIGHTNESS, BRIGHTNESS, (len(faces), 1, 1)).astype(np.float32)
    return _bytes((faces - np.float32(128)) * contrast + 128 + brightness)


def erase(faces: Image, rng: np.random.Generator, share: float = ERASED_SHARE) -> Image:
    """Fill one square in a share of the faces with its mean (Zhong et al. 2017), in place."""
    side = faces.shape[1]
    for index in np.flatnonzero(rng.random(len(faces)) < share):
        size = round(rng.uniform(*ERASED_SIDE) * side)
        top, left = rng.integers(0, side - size + 1, 2)
        square = faces[index, top : top + size, left : left + size]
        square[...] = round(square.mean())
    return faces


def mixup(
    faces: Image, targets: Targets, alpha: float, rng: np.random.Generator
) -> tuple[Image, Targets]:
    """Mix each face and its targets with another face of the batch (Zhang et al. 2017).

    `targets` maps each head of the network to float32 (N, classes); `alpha` 0 disables mixing.
    """
    if not alpha:
        return faces, targets
    weight = rng.beta(alpha, alpha, len(faces)).astype(np.float32)
    other = rng.permutation(len(faces))
    mixed = faces * weight[:, None, None] + faces[other] * (1 - weight)[:, None, None]
    return _bytes(mixed), {
        head: rows * weight[:, None] + rows[other] * (1 - weight)[:, None]
        for head, rows in targets.items()
    }


def degrade(face: Image, rng: np.random.Generator) -> Image:
    """Return a degraded face: downsampled, blurred, or compressed as JPEG."""
    match rng.integers(3):
        case 0:
            side = max(1, round(rng.uniform(*RESOLUTION) * face.shape[0]))
            small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
            return np.asarray(cv2.resize(small, face.shape[::-1]), np.uint8)
        case 1:
            return np.asarray(cv2.GaussianBlur(face, (0, 0), rng.uniform(*BLUR_SIGMA)), np.uint8)
        case _:
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*JPEG_QUALITY))]
            packed = cv2.imencode(".jpg", face, quality)[1]
            return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


def _bytes(faces: Floats) -> Image:
    return np.clip(np.rint(faces), 0, 255).astype(np.uint8)
