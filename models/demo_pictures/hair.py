"""Hair, strand by strand."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from emostream.models.demo_pictures.canvas import (
    CENTER,
    HEIGHT,
    LIGHT,
    WIDTH,
    Color,
    Curve,
    Floats,
    Layer,
    Y,
    fixed,
    noise,
    shape,
    smooth,
    soft,
    spline,
)

OVERSAMPLING = 2
STEPS = 12  # of a strand, from one point of its guide to the next
Shade = Callable[[float, Floats], Floats]

# Short hair: hairline, outline, and the uncovered skin.
ROOTS: Curve = [
    (196, 318), (196, 285), (203, 252), (224, 222), (262, 204), (320, 200),
    (378, 203), (416, 222), (437, 252), (444, 285), (444, 318),
]  # fmt: skip
TIPS: Curve = [
    (185, 322), (181, 285), (181, 238), (202, 180), (252, 136), (325, 119),
    (400, 130), (446, 178), (461, 236), (460, 285), (456, 322),
]  # fmt: skip
HAIRLINE: Curve = [
    (200, 330), (198, 285), (206, 254), (227, 226), (264, 209), (320, 206),
    (376, 208), (413, 226), (434, 254), (442, 285), (440, 330),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sweep:
    """Hair that falls along `guides`, from the outermost to the one at the face.

    `wave` is the amplitude in pixels, `waves` the number of waves. `shine` and `second` are bands
    of light: position along the hair, width, brightness. The `shortest` strands end at this share
    of the guide.
    """

    guides: tuple[Curve, Curve, Curve]
    wave: float
    waves: float
    shine: tuple[float, float, float]
    second: tuple[float, float, float]
    shortest: float

    def mirrored(self, middle: float) -> "Sweep":
        """Return the same hair on the other side."""
        one, two, three = ([(2 * middle - x, y) for x, y in guide] for guide in self.guides)
        return Sweep(
            (one, two, three), self.wave, self.waves, self.shine, self.second, self.shortest
        )

    def shade(self, across: float, along: Floats) -> Floats:
        """Return the brightness along a strand; `across` is 0 outside and 1 at the face."""
        bands = [
            amount * np.exp(-(((along - at) / width) ** 2))
            for at, width, amount in (self.shine, self.second)
        ]
        shadow = 1 - 0.3 * across * np.clip(1.5 * along, 0, 1)
        return np.asarray((0.63 + bands[0] + bands[1]) * shadow, np.float32)


class _Brush:
    """Draws opaque strands at twice the resolution."""

    def __init__(self) -> None:
        shape = (HEIGHT * OVERSAMPLING, WIDTH * OVERSAMPLING)
        self._color, self._alpha = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)

    def draw(self, points: Floats, colors: Floats, width: int) -> None:
        at = OVERSAMPLING * fixed(points)
        for start in range(0, len(at) - 1, 2):
            piece, thick = [at[start : start + 3]], width if start < 0.75 * len(at) else 1
            color = tuple(float(value) for value in colors[start])
            cv2.polylines(self._color, piece, False, color, thick, cv2.LINE_AA, 4)
            cv2.polylines(self._alpha, piece, False, 1.0, thick, cv2.LINE_AA, 4)

    def layer(self) -> Layer:
        size = (WIDTH, HEIGHT)
        color, alpha = (
            np.asarray(cv2.resize(one, size, interpolation=cv2.INTER_AREA), np.float32)
            for one in (self._color, self._alpha)
        )
        return Layer(color * LIGHT[..., None], alpha)


def paint_sweep(front: Layer, sweep: Sweep, color: Color, rng: np.random.Generator) -> None:
    """Paint long hair over the layer."""
    guides = np.array([spline(guide, STEPS) for guide in sweep.guides])
    outline = shape(np.vstack([guides[0], guides[-1][::-1]]), 3)
    front.paint(0.57 * np.array(color, np.float32) * LIGHT[..., None], 0.97 * outline)
    for thick, count in (((2, 3), 1500), ((1, 2), 1400)):
        brush = _Brush()
        for _ in range(count):
            _draw_strand(brush, guides, sweep, color, thick, rng)
        strands = brush.layer()
        front.put(strands.color, strands.alpha)


def _draw_strand(
    brush: _Brush,
    guides: Floats,
    sweep: Sweep,
    color: Color,
    thick: tuple[int, int],
    rng: np.random.Generator,
) -> None:
    across = float(np.clip(rng.random() + rng.normal(0, 0.03), 0, 1))
    along = np.linspace(0, 1, guides.shape[1], dtype=np.float32)
    place = across * (len(guides) - 1)
    low = min(int(place), len(guides) - 2)
    points = guides[low] + (place - low) * (guides[low + 1] - guides[low])
    step = np.gradient(points, axis=0)
    beside = np.stack([-step[:, 1], step[:, 0]], axis=1)
    beside /= np.linalg.norm(beside, axis=1, keepdims=True) + 1e-6
    swing = 2 * np.pi * (sweep.waves * along + 0.5 * across)
    aside = sweep.wave * np.sin(swing) * np.clip(1.6 * along - 0.25, 0, 1)
    aside = aside + rng.normal(0, 2.5) * np.clip(2 * along, 0.15, 1)
    length = max(4, int(len(along) * rng.uniform(sweep.shortest, 1)))
    shade = sweep.shade(across, along) * (1 + 0.16 * rng.normal())
    if sweep.wave > 5:
        shade = shade * (1 + 0.16 * np.cos(swing))
    colors = np.clip(np.array(color, np.float32) * shade[:, None], 0, 255)
    points = (points + beside * aside[:, None])[:length]
    brush.draw(points, colors[:length], int(rng.integers(thick[0], thick[1] + 1)))


def paint_short(front: Layer, color: Color, rng: np.random.Generator) -> None:
    """Paint short hair, brushed up and to the side, with a soft edge at the forehead."""
    roots, tips = spline(ROOTS, 10), spline(TIPS, 10)
    paint = np.array(color, np.float32)
    outline = shape(np.vstack([roots, tips[::-1]]), 4)
    dense = outline * smooth((soft(outline, 6) - 0.25) / 0.5)
    front.paint(0.6 * paint * LIGHT[..., None], dense)
    for thick, count in (((2, 3), 2400), ((1, 2), 2600)):
        brush = _Brush()
        for _ in range(count):
            across = rng.random()
            index = int(across * (len(roots) - 1))
            lean = np.array([26 * np.sin(np.pi * across), 0], np.float32)
            root, way = roots[index], tips[index] - roots[index]
            guide = [root, root + 0.35 * way + 0.7 * lean, root + 0.7 * way + lean, root + way]
            jittered = np.array(guide) + rng.normal(0, 2.5, 2)
            points = spline(jittered.astype(np.float32), STEPS)
            along = np.linspace(0, 1, len(points))
            shine = np.exp(-(((along - 0.55) / 0.22) ** 2)) * np.exp(
                -(((across - 0.42) / 0.25) ** 2)
            )
            shade = (0.62 + 0.38 * shine) * (1 + 0.18 * rng.normal())
            length = max(4, int(len(points) * rng.uniform(0.6, 1)))
            colors = np.clip(paint * shade[:, None], 0, 255)
            width = int(rng.integers(thick[0], thick[1] + 1))
            brush.draw(points[:length], colors[:length].astype(np.float32), width)
        strands = brush.layer()
        front.put(strands.color, strands.alpha)
    above = [(CENTER + 160, 330), (CENTER + 160, 60), (CENTER - 160, 60), (CENTER - 160, 330)]
    inside = soft(shape(np.vstack([spline(HAIRLINE, 10), np.array(above, np.float32)])), 7)
    uneven = np.asarray((inside - 0.42 + 0.16 * noise(rng, 1.1, 5)) / 0.5, np.float32)
    front.fade(smooth(uneven) * smooth((322 - Y) / 40))
