"""Worse pictures: blur, low light, JPEG, distance, turned heads; of bare crops and of scenes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np

from emostream.models.evaluation.scenes import Style
from emostream.shared.pixels import Image

Spoil: TypeAlias = Callable[[Image, np.random.Generator], Image]

SMALL = 24  # pixels that a face far from the camera has
TURN = 30.0  # degrees
QUALITY = 30  # of the JPEG
LIGHT = 0.15  # share of the light
PHOTONS = 4  # that a gray level is made of
READ_NOISE = 1.0  # of the sensor: standard deviation in gray levels


@dataclass(frozen=True)
class Condition:
    """One way to be worse: of a bare crop, uint8 (H, W[, 3]), and how scenes are drawn with it."""

    name: str
    crop: Spoil
    scene: Style


def blurred(share: float) -> Spoil:
    """Return a blur by a Gaussian whose deviation is a share of the picture's shorter side."""

    def spoil(picture: Image, random: np.random.Generator) -> Image:
        sigma = share * min(picture.shape[:2])
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)

    return spoil


def dark(picture: Image, random: np.random.Generator) -> Image:
    """Return the picture with little light: 15% of it, noise of photons and of reading out."""
    light = LIGHT * picture.astype(np.float32)
    noise = np.sqrt(light / PHOTONS + READ_NOISE**2) * random.standard_normal(
        picture.shape, np.float32
    )
    return np.asarray(np.clip(np.rint(light + noise), 0, 255), np.uint8)


def compressed(picture: Image, random: np.random.Generator) -> Image:
    """Return the picture after JPEG of quality 30."""
    _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    how = cv2.IMREAD_GRAYSCALE if picture.ndim == 2 else cv2.IMREAD_COLOR
    return np.asarray(cv2.imdecode(code, how), np.uint8)


def small(picture: Image, random: np.random.Generator) -> Image:
    """Return the picture as its 24 x 24 pixels would show it, at its own size."""
    size = picture.shape[1::-1]
    tiny = cv2.resize(picture, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(tiny, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def turned(picture: Image, random: np.random.Generator) -> Image:
    """Return the picture turned by 30 degrees to either side; the border repeats."""
    height, width = picture.shape[:2]
    middle = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, float(random.choice([-TURN, TURN])), 1)
    moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


# A scene's blur is that of a lens out of focus: 4 pixels of 720, a twentieth of its smallest face.
CONDITIONS: Final = (
    Condition("blur", blurred(1 / 32), Style(spoil=blurred(4 / 720))),
    Condition("low light", dark, Style(spoil=dark)),
    Condition("JPEG quality 30", compressed, Style(spoil=compressed)),
    Condition("faces of 24 px", small, Style(smallest=SMALL, largest=SMALL)),
    Condition("turned by 30°", turned, Style(turn=TURN, turn_exactly=True)),
)
