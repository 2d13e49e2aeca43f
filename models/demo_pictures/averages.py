"""Average faces: each photograph is warped to its class's mean shape, then averaged."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models.demo_pictures.bending import (
    NO_SECOND_MAP,
    bent,
    extended,
    look_up,
    spanned,
    surroundings,
)
from emostream.models.demo_pictures.face_mesh import HEIGHT, WIDTH, mirror_vertices, mirrored
from emostream.models.demo_pictures.vertices import (
    CHIN,
    INNER_LIPS,
    LEFT_BROW,
    LEFT_EYE,
    LIPS,
    LOWER_LIP,
    MOUTH_CORNER,
    NOSE,
    RIGHT_BROW,
    RIGHT_EYE,
    RIM,
)
from emostream.shared.pixels import Image

Floats = NDArray[np.float32]

SIDE, ENLARGE = 48, 6  # of a photograph, and how much larger it is for warping
INNER = np.s_[150:470, 150:362]  # of the canvas, whose mean is 0 and deviation 1
EDGE = 1.5  # width of a photograph's fading border in pixels
# The blur in pixels of 48-pixel photographs on the canvas, removed by Richardson-Lucy.
BLUR, ROUNDS, ROUNDS_OF_FEW, FEW = 3.2, 12, 8, 60
FOREHEAD, BROW_FADE = 10.0, 12.0  # pixels of the canvas
CHIN_HEIGHT = 52  # pixels of the canvas below the lower lip


@dataclass(frozen=True, slots=True)
class Average:
    """An average, float32 (600, 512), its points (468, 3), and its number of photographs."""

    picture: Floats
    shape: Floats
    count: int


def average(
    faces: Image,
    found: Floats,
    leveled: Floats,
    target: Floats | None = None,
    *,
    mirror: bool = True,
) -> Average:
    """Return the average of photographs, uint8 (N, 48, 48), with known points.

    `found` is in shares of their side, `leveled` is on the canvas, both (N, 468, 3). The shape is
    `target`, by default the mean. With `mirror`, mirrored copies are included.
    """
    shape = leveled.mean(axis=0) if target is None else target
    if mirror:
        shape = (shape + mirrored(shape)[mirror_vertices(shape)]) / 2
    triangles = spanned(shape)
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    weight = np.zeros_like(total)
    for face, at, level in zip(faces, found, leveled, strict=True):
        picture, shown = _bent_photograph(face, at, level, shape, triangles)
        inner = picture[INNER]
        level_picture = (picture - inner.mean()) / (inner.std() + np.float32(1e-3))
        total = np.add(total, shown * level_picture, dtype=np.float32)
        weight = np.add(weight, shown, dtype=np.float32)
    if mirror:
        total, weight = total + total[:, ::-1], weight + weight[:, ::-1]
    mean = total / np.maximum(weight, 1e-3)
    return Average(np.asarray(mean, np.float32), shape, len(faces))


def _bent_photograph(
    face: Image, found: Floats, leveled: Floats, shape: Floats, triangles: NDArray[np.int32]
) -> tuple[Floats, Floats]:
    """Return a photograph on the canvas, warped to the shape, and its mask from 0 to 1."""
    matrix, _ = cv2.estimateAffinePartial2D(leveled[:, :2].copy(), SIDE * found[:, :2])
    around = surroundings(leveled) @ matrix[:, :2].T + matrix[:, 2]
    source = np.vstack([SIDE * found[:, :2], around]).astype(np.float32)
    where = look_up(source, extended(shape), triangles)
    size = (SIDE * ENLARGE,) * 2
    large = cv2.resize(face.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    picture = cv2.remap(
        large,
        where * np.float32(ENLARGE) - np.float32(0.5),
        NO_SECOND_MAP,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    inside = np.minimum(where, SIDE - where).min(axis=2)
    shown = np.clip(inside / EDGE, 0, 1)
    return np.asarray(picture, np.float32), np.asarray(shown, np.float32)


def exaggerated(one: Average, neutral: Average, gain: float) -> Average:
    """Return the average with shape and shading `gain` times as far from the neutral face."""
    if gain == 1:
        return one
    shape = neutral.shape + np.float32(gain) * (one.shape - neutral.shape)
    picture = bent(one.picture, one.shape, shape)
    plain = bent(neutral.picture, neutral.shape, shape)
    return Average(picture + np.float32(gain - 1) * (picture - plain), shape, one.count)


def sharpened(one: Average) -> Average:
    """Return the average without the common blur of its photographs."""
    low = one.picture.min() - 0.2
    blurred = one.picture - low
    sharp = blurred.copy()
    for _ in range(ROUNDS_OF_FEW if one.count < FEW else ROUNDS):
        ratio = blurred / np.maximum(_soft(sharp, BLUR), 1e-3)
        sharp *= _soft(ratio, BLUR)
    return Average(sharp + low, one.shape, one.count)


def on_one_skin(one: Average, neutral: Average, soften: float) -> Average:
    """Return the neutral face with the changes of the expression.

    Both are sharpened. Away from eyes, brows, nose and mouth, the change is blurred by `soften`
    pixels. This removes traces of single photographs and gives all expressions the same skin. The
    forehead, where such traces are most visible, is blurred by at least `FOREHEAD`.
    """
    plain = bent(neutral.picture, neutral.shape, one.shape)
    change = one.picture - plain
    features = np.maximum.reduce(
        [
            _grown(one.shape, part, share, 8)
            for part, share in (
                ((*RIGHT_EYE, *RIGHT_BROW), 1.2),
                ((*LEFT_EYE, *LEFT_BROW), 1.2),
                ((*LIPS, *INNER_LIPS), 1.12),
                (NOSE, 1.1),
            )
        ]
    )
    features = np.clip(1.2 * features, 0, 1)
    brows = one.shape[[*RIGHT_BROW, *LEFT_BROW], 1].min()
    above = np.clip((brows - np.arange(HEIGHT, dtype=np.float32)) / BROW_FADE, 0, 1)[:, None]
    skin = (1 - above) * _soft(change, soften) + above * _soft(change, max(soften, FOREHEAD))
    kept = features * change + (1 - features) * skin
    return Average(plain + kept, one.shape, one.count)


def with_room_for_chin(one: Average) -> Average:
    """Return the average with its edge below the chin, which the mesh misses if a mouth is open."""
    missing = one.shape[LOWER_LIP, 1] + CHIN_HEIGHT - one.shape[CHIN, 1]
    if missing <= 0:
        return one
    shape, mouth = one.shape.copy(), one.shape[MOUTH_CORNER, 1]
    rim = list(RIM)
    share = np.clip((shape[rim, 1] - mouth) / (shape[CHIN, 1] - mouth), 0, 1)
    shape[rim, 1] += missing * share**0.8
    return Average(one.picture, shape, one.count)


def _grown(shape: Floats, part: tuple[int, ...], share: float, feather: float) -> Floats:
    """Return a soft mask of a part of the face, `share` times its size."""
    points = shape[list(part), :2]
    center = points.mean(axis=0)
    hull = cv2.convexHull(np.rint(center + (points - center) * share).astype(np.int32))
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    return _soft(np.asarray(cv2.fillConvexPoly(mask, hull, 1.0), np.float32), feather)


def _soft(picture: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
