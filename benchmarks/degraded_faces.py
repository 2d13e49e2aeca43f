"""Faces degraded in known ways, detected and aligned, to fit the quality to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.aligned_crops import WINDOW, backgrounds
from emostream.models.alignment import align
from emostream.models.evaluation.corruptions import PHOTONS_PER_LEVEL, READ_NOISE
from emostream.models.evaluation.domain_gap import MAX_DISTANCE, center_distances
from emostream.models.evaluation.scenes import paste
from emostream.services.detector.detection import Detection, FaceDetector, as_boxes
from emostream.shared.pixels import Image

NOT_A_FACE: Final = -1
SMALLEST, LARGEST = 12, 300  # pixels of a face's side
SMALL: Final = 60
AROUND: Final = 2.0  # margin around a small face in a close-up, in sides of the face
TURN, LARGEST_TURN = 15.0, 60.0  # degrees, usual and most
BLUR: Final = (1 / 100, 1 / 10)  # of the face's side: the deviation of a Gaussian
LIGHT: Final = (0.04, 0.6)  # remaining share
GAIN_NOISE: Final = (2.0, 30.0)  # deviation, gray levels
JPEG: Final = (8, 60)  # quality
HAZE: Final = (0.1, 0.6)  # remaining contrast
EXPOSURE: Final = (1.3, 2.5)
CUT: Final = (0.05, 0.5)  # share of the face's side outside the picture
WAYS: Final = (
    *("none", "small", "turned", "cut", "blur", "low light"),
    *("noise", "JPEG", "haze", "overexposed", "two at once"),
)
PICTURE_WAYS: Final = ("blur", "low light", "noise", "JPEG", "haze", "overexposed")


class DegradedFace(NamedTuple):
    """A detection in a picture of one face: its crop, uint8 (S, S), and its degradation.

    `face` is the index of the face, NOT_A_FACE for a false box; `width` and `height` are those of
    the picture.
    """

    face: int
    way: str
    found: Detection
    crop: Image
    width: int
    height: int


@dataclass(frozen=True)
class _Plan:
    """A degradation: the position and rotation of the face, and changes to the picture."""

    way: str
    square: NDArray[np.float64]
    turn: float
    changes: Sequence[str]


def degraded_faces(
    faces: Image, detectors: Sequence[FaceDetector], count: int, seed: int
) -> Iterator[list[DegradedFace]]:
    """Draw `count` of the faces uint8 (N, H, H), degrade and detect each; yield the detections.

    Each face is alone in a window of 720 x 720 pixels. All WAYS are equally frequent; the detectors
    alternate.
    """
    random = np.random.default_rng(seed)
    order = np.concatenate([random.permutation(len(faces)) for _ in range(-(-count // len(faces)))])
    for number, (index, canvas) in enumerate(
        zip(order[:count].tolist(), backgrounds(random), strict=False)
    ):
        plan = _plan(WAYS[number % len(WAYS)], random)
        paste(canvas, faces[index], plan.square, random, plan.turn)
        picture = np.clip(canvas, 0, 255).astype(np.uint8)
        for change in plan.changes:
            picture = _changed(picture, change, plan.square[2], random)
        detector = detectors[number // len(WAYS) % len(detectors)]
        yield _detected(picture, plan, index, detector)


def _plan(way: str, random: np.random.Generator) -> _Plan:
    # Small faces are combined with every other way too, as in reality.
    small = way == "small" or random.random() < 0.3
    low, high = (SMALLEST, SMALL) if small else (SMALL, LARGEST)
    side = _log_uniform((low, high), random)
    x, y = random.uniform(0, WINDOW - side, 2)
    turn = LARGEST_TURN if way == "turned" else TURN
    if way == "cut":
        beyond = side * random.uniform(*CUT)
        x, y = [
            (-beyond, y),
            (WINDOW - side + beyond, y),
            (x, -beyond),
            (x, WINDOW - side + beyond),
        ][int(random.integers(4))]
    changes = [way] if way in PICTURE_WAYS else []
    if way == "two at once":
        changes = random.choice(PICTURE_WAYS, 2, replace=False).tolist()
    return _Plan(way, np.array([x, y, side, side]), turn, changes)


def _changed(picture: Image, change: str, side: float, random: np.random.Generator) -> Image:
    """Return the picture, uint8 (H, W, 3), changed in one of PICTURE_WAYS by a random amount."""
    values = picture.astype(np.float32)
    match change:
        case "blur":
            sigma = side * _log_uniform(BLUR, random)
            values = np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)
        case "low light":
            values *= _log_uniform(LIGHT, random)
            deviation = np.sqrt(values / PHOTONS_PER_LEVEL + READ_NOISE**2)
            values += deviation * random.standard_normal(values.shape, np.float32)
        case "noise":
            strength = np.float32(_log_uniform(GAIN_NOISE, random))
            values += strength * random.standard_normal(values.shape, np.float32)
        case "JPEG":
            quality = int(random.integers(*JPEG))
            _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
            return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
        case "haze":
            left = random.uniform(*HAZE)
            values = left * values + (1 - left) * random.uniform(90, 220)
        case "overexposed":
            values = values * random.uniform(*EXPOSURE) + random.uniform(0, 60)
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _detected(
    picture: Image, plan: _Plan, index: int, detector: FaceDetector
) -> list[DegradedFace]:
    small = plan.square[2] < SMALL
    found = close_up(picture, plan.square, detector) if small else detector.detect(picture)
    if not found:
        return []
    off = center_distances(as_boxes(found), plan.square[None])[:, 0]
    nearest = int(np.argmin(off)) if off.min() <= MAX_DISTANCE else None
    height, width = picture.shape[:2]
    return [
        DegradedFace(index if number == nearest else NOT_A_FACE, plan.way, one, crop, width, height)
        for number, (one, crop) in enumerate(zip(found, align(picture, found), strict=True))
    ]


def close_up(
    picture: Image, square: NDArray[np.float64], detector: FaceDetector
) -> list[Detection]:
    """Search an enlarged close-up of a small face, like the detector for a lost face.

    Otherwise the smallest detectable faces would be missing.
    """
    x, y, side, _ = square
    height, width = picture.shape[:2]
    left, top = (max(0, round(at - AROUND * side)) for at in (x, y))
    right, bottom = (
        min(end, round(at + (1 + AROUND) * side)) for at, end in ((x, width), (y, height))
    )
    scale = SMALL / side
    size = (round(scale * (right - left)), round(scale * (bottom - top)))
    part = cv2.resize(picture[top:bottom, left:right], size, interpolation=cv2.INTER_LINEAR)
    across, down = (right - left) / size[0], (bottom - top) / size[1]
    return [
        Detection(
            (left + across * a, top + down * b, across * wide, down * high),
            one.score,
            tuple((left + across * u, top + down * v) for u, v in one.landmarks),
        )
        for one in detector.detect(np.asarray(part, np.uint8))
        for a, b, wide, high in [one.box]
    ]


def _log_uniform(bounds: tuple[float, float], random: np.random.Generator) -> float:
    return float(np.exp(random.uniform(*np.log(bounds))))
