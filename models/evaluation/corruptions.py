"""Corruptions of crops and scenes: blur, low light, JPEG, low resolution, rotation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np

from emostream.models.evaluation.scenes import SceneStyle
from emostream.shared.pixels import Image

Corrupt: TypeAlias = Callable[[Image, np.random.Generator], Image]

SMALL_SIDE = 24  # size in pixels of a face far from the camera
ROTATION = 30.0  # degrees
JPEG_QUALITY = 30
LIGHT_SHARE = 0.15  # remaining share of the light
PHOTONS_PER_LEVEL = 4  # per gray level
READ_NOISE = 1.0  # of the sensor, standard deviation in gray levels


@dataclass(frozen=True)
class Corruption:
    """One corruption: a function for bare crops, uint8 (H, W[, 3]), and a style for scenes.

    `side` is the resulting width of the face in pixels, None if it does not change.
    """

    name: str
    crop: Corrupt
    scene: SceneStyle
    side: int | None = None


def gaussian_blur(share: float) -> Corrupt:
    """Return a Gaussian blur whose deviation is a share of the picture's shorter side."""

    def corrupt(picture: Image, random: np.random.Generator) -> Image:
        sigma = share * min(picture.shape[:2])
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)

    return corrupt


def low_light(picture: Image, random: np.random.Generator) -> Image:
    """Return the picture in low light: 15% of the light, with shot noise and read noise."""
    light = LIGHT_SHARE * picture.astype(np.float32)
    noise = np.sqrt(light / PHOTONS_PER_LEVEL + READ_NOISE**2) * random.standard_normal(
        picture.shape, np.float32
    )
    return np.asarray(np.clip(np.rint(light + noise), 0, 255), np.uint8)


def jpeg_compression(picture: Image, random: np.random.Generator) -> Image:
    """Return the picture after JPEG of quality 30."""
    _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    how = cv2.IMREAD_GRAYSCALE if picture.ndim == 2 else cv2.IMREAD_COLOR
    return np.asarray(cv2.imdecode(code, how), np.uint8)


def low_resolution(picture: Image, random: np.random.Generator) -> Image:
    """Return the picture reduced to 24 x 24 pixels and enlarged to its original size."""
    size = picture.shape[1::-1]
    tiny = cv2.resize(picture, (SMALL_SIDE, SMALL_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(tiny, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def rotation(picture: Image, random: np.random.Generator) -> Image:
    """Return the picture rotated by 30 degrees to either side; the border is repeated."""
    height, width = picture.shape[:2]
    middle = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, float(random.choice([-ROTATION, ROTATION])), 1)
    moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


# A scene is blurred like an out-of-focus lens: 4 pixels of 720, a twentieth of its smallest face.
CORRUPTIONS: Final = (
    Corruption("blur", gaussian_blur(1 / 32), SceneStyle(corrupt=gaussian_blur(4 / 720))),
    Corruption("low light", low_light, SceneStyle(corrupt=low_light)),
    Corruption("JPEG quality 30", jpeg_compression, SceneStyle(corrupt=jpeg_compression)),
    Corruption(
        "faces of 24 px",
        low_resolution,
        SceneStyle(smallest=SMALL_SIDE, largest=SMALL_SIDE),
        SMALL_SIDE,
    ),
    Corruption("turned by 30°", rotation, SceneStyle(turn=ROTATION, turn_exactly=True)),
)
