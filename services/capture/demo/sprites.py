"""The sprites of the demo's people: a drawn head and shoulders with an average face on it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.services.capture.demo.composites import SIZE, load_composites
from emostream.shared.pixels import Image

Floats = NDArray[np.float32]
Color = tuple[float, float, float]

SCALE = 4
TILE = SIZE * SCALE
WIDTH, HEIGHT = 384, 408
# Where the composite's top left corner lies in the sprite, and what is around the composite.
LEFT, TOP = (WIDTH - TILE) // 2, 40
MARGINS = (TOP, HEIGHT - TOP - TILE, LEFT, WIDTH - LEFT - TILE)
# The face inside the composite: left, top, width and height in pixels of the sprite.
FACE_BOX = (LEFT + 5.5 * SCALE, TOP + 3 * SCALE, 37 * SCALE, 44 * SCALE)


@dataclass(frozen=True, slots=True)
class Appearance:
    """The colors of one person, BGR; `skin` only tints, the composite gives the brightness."""

    skin: Color
    hair: Color
    shirt: Color
    long_hair: bool


APPEARANCES = (
    Appearance(skin=(0.84, 0.93, 1.19), hair=(34, 46, 70), shirt=(132, 104, 58), long_hair=True),
    Appearance(skin=(0.72, 0.90, 1.25), hair=(28, 30, 36), shirt=(92, 108, 150), long_hair=False),
    Appearance(skin=(0.86, 0.94, 1.15), hair=(48, 74, 112), shirt=(96, 124, 84), long_hair=True),
)
LUMA = np.array((0.114, 0.587, 0.299), np.float32)
# Averaging takes from an expression as it takes from sharpness: each composite is drawn this far
# from the mean of all, and with this much detail (standard deviations in the face).
EXPRESSION, DETAIL = 16.0, 18.0
FACE = np.s_[:, 8:44, 8:40]


def emotion_sprites(appearance: Appearance) -> list[Image]:
    """One premultiplied BGRA sprite an emotion, uint8 (408, 384, 4), all of one outline."""
    skin = np.array(appearance.skin, np.float32)
    skin /= skin @ LUMA
    body = _body(appearance, skin)
    mask = _oval((24, 24.5), (19, 24.5), 0.16)[..., None]
    light = _smooth((1 - np.linspace(0, 1, HEIGHT, dtype=np.float32)) / 0.4)[:, None, None]
    out = []
    for tile in caricatures(load_composites()):
        large = cv2.resize(tile, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
        gray = cv2.copyMakeBorder(large, *MARGINS, cv2.BORDER_REPLICATE)
        face = np.dstack([gray[..., None] * skin, np.full_like(gray, 255)])
        sprite = (body + mask * (face - body)) * light
        out.append(np.rint(np.clip(sprite, 0, 255)).astype(np.uint8))
    return out


def caricatures(tiles: Image) -> Floats:
    """The composites with their differences and details amplified: float32 (8, 48, 48)."""
    # Takes the grain off the composites of few faces, which sharpening would bring out.
    smooth = _blurred(tiles.astype(np.float32), 0.7)
    mean = smooth.mean(axis=0)
    faces = mean + _amplified(smooth - mean, EXPRESSION)
    soft = _blurred(faces, 2.2)
    return soft + _amplified(faces - soft, DETAIL)


def _amplified(difference: Floats, deviation: float) -> Floats:
    gain = np.maximum(1, deviation / difference[FACE].std(axis=(1, 2), keepdims=True))
    return np.asarray(difference * gain, np.float32)


def _blurred(tiles: Floats, sigma: float) -> Floats:
    return np.stack([cv2.GaussianBlur(tile, (0, 0), sigma) for tile in tiles]).astype(np.float32)


def _oval(center: tuple[float, float], radii: tuple[float, float], feather: float) -> Floats:
    """A soft-edged ellipse, float32 (408, 384) of 0 to 1; in pixels of the composite."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    x = (x + 0.5 - LEFT) / SCALE - center[0]
    y = (y + 0.5 - TOP) / SCALE - center[1]
    distance = np.hypot(x / radii[0], y / radii[1])
    return _smooth((1 + feather / 2 - distance) / feather)


def _smooth(ramp: Floats) -> Floats:
    ramp = np.clip(ramp, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def _body(appearance: Appearance, skin: Floats) -> Floats:
    """Hair, neck and shoulders without the face: premultiplied BGRA, float32 (408, 384, 4)."""
    hair, shirt = np.array(appearance.hair, np.float32), np.array(appearance.shirt, np.float32)
    shoulders = np.maximum(_oval((24, 88), (47, 30), 0.08), _oval((24, 63), (15, 11), 0.2))
    neck = np.maximum(_oval((24, 50), (9.5, 18), 0.14), _oval((24, 58), (13, 8), 0.25))
    layers = [
        (shirt, shoulders),
        (skin * 104, neck),
        (skin * 78, neck * _oval((24, 48), (11, 12), 1.2)),
        (hair, _oval((24, 18), (22, 24.5), 0.07)),
    ]
    if appearance.long_hair:
        layers.insert(0, (hair * 0.8, _oval((24, 34), (25, 33), 0.1)))
    else:
        layers += [(skin * 108, _oval((x, 25), (2.6, 5.5), 0.4)) for x in (4.2, 43.8)]
    picture = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    for paint, mask in layers:
        picture += mask[..., None] * (np.append(paint, 255).astype(np.float32) - picture)
    return picture
