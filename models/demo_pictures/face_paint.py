"""Colors an average face and continues its skin to the hair."""

import numpy as np

from emostream.models.demo_pictures.averages import Average
from emostream.models.demo_pictures.canvas import (
    CENTER,
    FACE_LEFT,
    FACE_TOP,
    HEIGHT,
    LEFT,
    LIGHT,
    WIDTH,
    Floats,
    Layer,
    X,
    Y,
    noise,
    shape,
    skin_color,
    smooth,
    soft,
    tinted,
)
from emostream.models.demo_pictures.looks import Look
from emostream.models.demo_pictures.vertices import (
    INNER_LIPS,
    LEFT_BROW,
    LEFT_EYE,
    LIPS,
    RIGHT_BROW,
    RIGHT_EYE,
    RIM,
)

MIDDLE = np.array([CENTER, 385], np.float32)
# How much of the photographs' forehead is visible above the mesh, and how far the face extends up.
FOREHEAD_TOP, UPWARD = 212, 52
# How far skin is continued, and the share of known skin that this needs.
SPREADS, KNOWN = (6, 14, 30, 70), 0.12
CRISP, CRISP_BLUR, PORES = 0.9, 2.8, 0.012
# Irises are blurred in the averages, so they are painted: radius, softness, darkness, and the
# reflection of a window.
IRIS_RADIUS, IRIS_EDGE, IRIS_DARK = 11.0, 2.5, 0.5
GLINT_AT, GLINT_WIDE, GLINT = (-3.5, -3.0), 2.0, 70.0
BLUSH, SCLERA, IRIS, BROW = (110, 128, 205), (172, 180, 188), (80, 105, 135), (90, 105, 130)
TEETH, MOUTH, STUBBLE = (165, 178, 190), (60, 62, 120), (105, 122, 158)


def on_portrait(one: Average) -> tuple[Floats, Floats]:
    """Return the picture on the portrait's canvas, (1000, 760), and its points there (468, 3)."""
    height, width = one.picture.shape
    picture = np.zeros((HEIGHT, WIDTH), np.float32)
    left = FACE_LEFT - LEFT
    picture[FACE_TOP : FACE_TOP + height, left : left + width] = one.picture
    return picture, one.shape + np.array([FACE_LEFT, FACE_TOP, 0], np.float32)


def paint_face(one: Average, look: Look, front: Layer, rng: np.random.Generator) -> Layer:
    """Return the face of an average, in the shadow of the hair in `front`."""
    picture, points = on_portrait(one)
    gray = _continued(picture, _photographed(points))
    gray = gray + CRISP * (gray - soft(gray, CRISP_BLUR))
    shadow = soft(np.roll(front.alpha, 8, axis=0), 12) + 0.5 * soft(front.alpha, 5)
    light = LIGHT * (1 - 0.4 * np.clip(shadow, 0, 1)) * (1 + PORES * noise(rng, 0.8))
    brightness = np.clip(look.brightness + look.contrast * gray, 0.02, 0.98) * light
    color = _made_up(skin_color(brightness, *look.skin), brightness, points, look)
    layer = Layer.empty()
    layer.paint(np.clip(color, 0, 255), _outline(points))
    return layer


def _photographed(points: Floats) -> Floats:
    """Return the mask of skin in the photographs: in the mesh, and on the forehead above it."""
    rim = points[list(RIM), :2]
    face = shape(MIDDLE + (rim - MIDDLE) * np.array([0.97, 0.985], np.float32), 4)
    above = ((Y > FOREHEAD_TOP) & (abs(X - CENTER) < 95)).astype(np.float32)
    above = soft(above, 9) * (Y < 300) * smooth((Y - FOREHEAD_TOP + 7) / 16)
    return np.asarray(np.maximum(face, above), np.float32)


def _continued(picture: Floats, known: Floats) -> Floats:
    """Return the picture with unknown areas filled from nearby ones."""
    filled = np.zeros_like(picture)
    for spread in reversed(SPREADS):
        weight = soft(known, spread)
        near = soft(picture * known, spread) / np.maximum(weight, 1e-4)
        share = smooth(weight / KNOWN) if spread != SPREADS[-1] else np.float32(1)
        filled = np.asarray(filled * (1 - share) + near * share, np.float32)
    return np.asarray(picture * known + filled * (1 - known), np.float32)


def _outline(points: Floats) -> Floats:
    """Return the mask of the face, which extends under the hair."""
    rim = points[list(RIM), :2].copy()
    rim[:, 1] -= UPWARD * np.clip((300 - rim[:, 1]) / 66, 0, 1)
    return shape(MIDDLE + (rim - MIDDLE) * np.array([0.99, 0.995], np.float32), 3.2)


def _made_up(color: Floats, brightness: Floats, points: Floats, look: Look) -> Floats:
    """Return the face with blush, lips, teeth, eyes, brows and stubble."""

    def part(vertices: tuple[int, ...], feather: float) -> Floats:
        return shape(points[list(vertices), :2], feather)

    for x, y, wide, high, amount in (
        (-78, 415, 42, 38, 0.22),
        (78, 415, 42, 38, 0.22),
        (0, 412, 26, 24, 0.15),
    ):
        spot = np.exp(-(((X - CENTER - x) / wide) ** 2 + ((Y - y) / high) ** 2))
        color = tinted(color, spot, BLUSH, amount)
    color = tinted(color, part(LIPS, 2.5) - part(INNER_LIPS, 1.5), *look.lips)
    mouth, eyes = part(INNER_LIPS, 1.2), part(RIGHT_EYE, 1.6) + part(LEFT_EYE, 1.6)
    color = tinted(color, mouth * smooth((brightness - 0.1) / 0.3), TEETH, 0.7)
    color = tinted(color, mouth * (1 - smooth((brightness - 0.12) / 0.25)), MOUTH, 0.6)
    white = smooth((brightness / look.brightness - 0.55) / 0.5)
    color = tinted(color, eyes * white, SCLERA, 0.75)
    color = tinted(color, eyes * (1 - white), IRIS, 0.7)
    for vertices in (RIGHT_EYE, LEFT_EYE):
        color = _with_iris(color, points[list(vertices), :2].mean(axis=0), part(vertices, 1.6))
    color = tinted(color, part(RIGHT_BROW, 4) + part(LEFT_BROW, 4), BROW, 0.5)
    if look.stubble:
        rim = points[list(RIM), :2]
        center = np.array([CENTER, 440], np.float32)
        jaw = shape(center + (rim - center) * np.array([0.95, 0.99], np.float32), 12)
        jaw = jaw * smooth((Y - 430) / 40) * (1 - np.clip(1.3 * part(LIPS, 5), 0, 1))
        color = tinted(color, jaw, STUBBLE, look.stubble) * (1 - 0.08 * jaw)[..., None]
    return color


def _with_iris(color: Floats, center: Floats, eye: Floats) -> Floats:
    """Return the face with a dark iris and a glint in the middle of an eye's mask."""
    x, y = X - center[0], Y - center[1]
    iris = eye * smooth((IRIS_RADIUS - np.hypot(x, y)) / IRIS_EDGE + 0.5)
    right, down = GLINT_AT
    glint = np.exp(-((x - right) ** 2 + (y - down) ** 2) / (2 * GLINT_WIDE**2))
    dark = color * (1 - IRIS_DARK * iris)[..., None]
    return np.asarray(dark + GLINT * (eye * glint)[..., None], np.float32)
