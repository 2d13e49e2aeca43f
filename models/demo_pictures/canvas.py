"""The canvas of a portrait, with soft shapes, noise, layers and light."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Curve = Sequence[tuple[float, float]]
Color = tuple[float, float, float]

WIDTH, HEIGHT = 760, 1000
# The left edge; x and y are relative to the face, independent of the shoulders.
LEFT = -60
# The center between the eyes, and the position of the average faces' canvas.
CENTER, EYES = 320.0, 330.0
FACE_LEFT, FACE_TOP = 64, 70
LUMA = np.array((0.114, 0.587, 0.299), np.float32)
Y, X = np.mgrid[0:HEIGHT, LEFT : LEFT + WIDTH].astype(np.float32)
# One light from the left for everything.
LIGHT = np.clip(1.08 - 0.2 * (X - CENTER) / 320, 0.8, 1.25)


@dataclass
class Layer:
    """A premultiplied picture, float32 (1000, 760, 3) of 0 to 255, and its alpha (1000, 760)."""

    color: Floats
    alpha: Floats

    @classmethod
    def empty(cls) -> "Layer":
        """Return a transparent layer."""
        shape = (HEIGHT, WIDTH)
        return cls(np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32))

    def paint(self, color: Floats, mask: Floats) -> None:
        """Paint a color over the layer, within the mask."""
        self.put(color * mask[..., None], mask)

    def put(self, color: Floats, alpha: Floats) -> None:
        """Paint a premultiplied picture over the layer."""
        self.color = self.color * (1 - alpha[..., None]) + color
        self.alpha = self.alpha * (1 - alpha) + alpha

    def fade(self, mask: Floats) -> None:
        """Make the layer transparent where the mask is 0."""
        self.color, self.alpha = self.color * mask[..., None], self.alpha * mask

    def over(self, other: "Layer") -> "Layer":
        """Return this layer over another."""
        both = Layer(other.color, other.alpha)
        both.put(self.color, self.alpha)
        return both


def soft(picture: Floats, sigma: float) -> Floats:
    """Return the picture blurred."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def smooth(ramp: Floats) -> Floats:
    """Return a smooth ramp from 0 to 1."""
    ramp = np.clip(ramp, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def spline(points: Curve | Floats, steps: int = 16) -> Floats:
    """Return a curve through points (Catmull-Rom), float32 (N, 2)."""
    p = np.array(points, np.float32)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None]
    pieces = [
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return np.vstack([*pieces, p[-2][None]])


def fixed(points: Curve | Floats) -> NDArray[np.int32]:
    """Return points in the fixed-point format of OpenCV, in sixteenths of a pixel."""
    from_corner = np.array(points, np.float32) - np.array([LEFT, 0], np.float32)
    return np.asarray(np.rint(from_corner * 16), np.int32)


def shape(points: Curve | Floats, feather: float = 0.0) -> Floats:
    """Return the mask of a polygon with smooth edges, float32 (1000, 760)."""
    large = np.zeros((HEIGHT * 2, WIDTH * 2), np.float32)
    cv2.fillPoly(large, [fixed(points)], 1.0, cv2.LINE_AA, 3)
    mask = np.asarray(cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.float32)
    return soft(mask, feather) if feather else mask


def line(points: Curve | Floats, width: int, feather: float) -> Floats:
    """Return the mask of a soft line."""
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.polylines(mask, [fixed(points)], False, 1.0, width, cv2.LINE_AA, 4)
    return soft(mask, feather)


def aside(points: Curve, side: int) -> list[tuple[float, float]]:
    """Return points given as distances from the center, on the left (-1) or right (1)."""
    return [(CENTER + side * x, y) for x, y in points]


def noise(rng: np.random.Generator, across: float, down: float | None = None) -> Floats:
    """Return smooth noise with deviation 1 and the given blur."""
    raw = rng.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32)
    blurred = cv2.GaussianBlur(raw, (0, 0), sigmaX=across, sigmaY=down or across)
    return np.asarray(blurred / blurred.std(), np.float32)


def skin_color(brightness: Floats, dark: Color, middle: Color, light: Color) -> Floats:
    """Return the skin color for a brightness of 0 to 1, float32 (..., 3) from 0 to 255.

    The three colors only tint, so that the shading of a photograph is unchanged.
    """
    low, mid, high = (np.array(c, np.float32) / (np.array(c) @ LUMA) for c in (dark, middle, light))
    t = np.clip(brightness, 0, 1)[..., None]
    below, above = low + (mid - low) * (t / 0.45), mid + (high - mid) * ((t - 0.45) / 0.55)
    return np.asarray(255 * np.where(t < 0.45, below, above) * brightness[..., None], np.float32)


def tinted(picture: Floats, mask: Floats, color: Color, amount: float) -> Floats:
    """Return the picture tinted with the color within the mask, with its own brightness."""
    paint = np.array(color, np.float32)
    same = (picture @ LUMA)[..., None] * (paint / (paint @ LUMA))
    share = amount * np.clip(mask, 0, 1)[..., None]
    return np.asarray(picture + share * (same - picture), np.float32)
