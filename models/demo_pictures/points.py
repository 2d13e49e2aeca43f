"""The points that the demo moves, on and around the faces."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from emostream.models.demo_pictures.averages import Average
from emostream.models.demo_pictures.canvas import CENTER
from emostream.models.demo_pictures.face_paint import on_portrait
from emostream.models.demo_pictures.looks import LOOKS, shaped
from emostream.models.demo_pictures.vertices import MOVED
from emostream.models.labels import LABELS

Floats = NDArray[np.float32]

# Around the head, which turns as a unit: x, y, depth, and how much it follows the head.
HEAD = [
    (CENTER + 188 * np.cos(angle), 300 - 215 * np.sin(angle), 110, 1.0)
    for angle in np.radians(np.linspace(-30, 210, 15))
]
NECK = [
    (140, 460, 100, 0.9), (500, 460, 100, 0.9), (140, 600, 60, 0.4), (500, 600, 60, 0.4),
    (250, 560, 90, 0.45), (390, 560, 90, 0.45), (320, 580, 50, 0.4),
]  # fmt: skip
# The chest does not move, nor do points far outside the picture.
STILL = [
    *((x, 706, 0, 0) for x in (0, 130, 225, 320, 415, 510, 640)),
    *((60, 640, 0, 0.05), (580, 640, 0, 0.05), (0, 800, 0, 0), (320, 800, 0, 0), (640, 800, 0, 0)),
    *((-2000, -2000, 0, 0), (320, -2000, 0, 0), (2640, -2000, 0, 0), (-2000, 300, 0, 0)),
    *((2640, 300, 0, 0), (-2000, 3000, 0, 0), (320, 3000, 0, 0), (2640, 3000, 0, 0)),
]  # fmt: skip

# How much an expression's distance from the neutral shape is exaggerated.
STRETCH = {"fear": 1.2}


def write_points(path: Path, averages: dict[str, Average]) -> None:
    """Write the file that `emostream.services.capture.demo.pictures` loads."""
    around = np.array([*HEAD, *NECK, *STILL], np.float32)
    faces = np.array([on_portrait(one)[1][list(MOVED)] for one in averages.values()])
    others = np.repeat(around[None, :, :3], len(faces), axis=0)
    points = np.concatenate([faces, others], axis=1).astype(np.float32)
    drawn, depth = points[..., :2], points[..., 2].mean(axis=0)
    neutral = drawn[list(averages).index("neutral")]
    gains = np.array([STRETCH.get(label, 1.0) for label in averages], np.float32)
    shown = neutral + gains[:, None, None] * (drawn - neutral)
    np.savez_compressed(
        path,
        emotions=np.array([LABELS.index(label) for label in averages], np.uint8),
        drawn=drawn,
        rest=np.stack([shaped(shown, look) for look in LOOKS]),
        depth=depth,
        follow=np.concatenate([np.ones(len(MOVED), np.float32), around[:, 3]]),
        triangles=_triangles(drawn.mean(axis=0), depth),
        vertices=np.array(MOVED, np.uint16),
    )


def _triangles(points: Floats, depth: Floats) -> NDArray[np.uint16]:
    """Return triangles (T, 3) with the same orientation, nearest last."""
    triangles = Delaunay(points).simplices
    triangles = triangles[np.argsort(-depth[triangles].mean(axis=1), kind="stable")]
    (ax, ay), (bx, by) = ((points[triangles[:, k]] - points[triangles[:, 0]]).T for k in (1, 2))
    turned = np.where((ax * by < ay * bx)[:, None], triangles[:, [0, 2, 1]], triangles)
    return np.asarray(turned, np.uint16)
