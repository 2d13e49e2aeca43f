"""Detections, the detector interface, and box geometry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.shared.messages import Box, Point
from emostream.shared.pixels import Image

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Detection:
    """A face: `box` is x, y, width, height in frame pixels, `score` is in 0..1.

    `landmarks` are the person's right eye, left eye, nose and mouth center, or empty if the
    detector does not provide them.
    """

    box: Box
    score: float
    landmarks: tuple[Point, ...] = ()


def enlarged(found: Detection, across: float, down: float) -> Detection:
    """Return the detection for a picture that is this many times wider and higher."""
    x, y, width, height = found.box
    return Detection(
        (across * x, down * y, across * width, down * height),
        found.score,
        tuple((across * a, down * b) for a, b in found.landmarks),
    )


class FaceDetector(Protocol):
    """Finds the faces of one picture."""

    def detect(self, frame: Image) -> list[Detection]:
        """Return the faces in `frame`, uint8 (H, W, 3) in BGR order, best score first."""
        ...


def as_boxes(detections: Sequence[Detection]) -> Floats:
    """Return the boxes of the detections, float64 (N, 4) of x, y, width, height."""
    return np.array([one.box for one in detections], np.float64).reshape(-1, 4)


def corners(boxes: Floats) -> tuple[Floats, Floats]:
    """Return the left top and the right bottom corners of boxes (N, 4), each (N, 2)."""
    low = boxes[:, :2]
    return low, low + boxes[:, 2:]


def intersections(first: Floats, second: Floats) -> Floats:
    """Return the intersection area of each pair of boxes, (N, 4) and (M, 4) to (N, M)."""
    (low, high), (other_low, other_high) = corners(first), corners(second)
    low, high = np.maximum(low[:, None], other_low), np.minimum(high[:, None], other_high)
    sides = np.maximum(high - low, 0.0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def areas(boxes: Floats) -> Floats:
    """Return the area of each box, (N, 4) to (N,); 0 for a box with negative sides."""
    return np.asarray(np.maximum(boxes[:, 2], 0.0) * np.maximum(boxes[:, 3], 0.0))


def pairwise_iou(first: Floats, second: Floats) -> Floats:
    """Return the intersection over union of each pair, (N, 4) and (M, 4) to (N, M) in 0..1."""
    shared = intersections(first, second)
    union = areas(first)[:, None] + areas(second)[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def containments(first: Floats, second: Floats) -> Floats:
    """Return the intersection over the smaller box of each pair, (N, 4), (M, 4) to (N, M)."""
    smaller = np.minimum(areas(first)[:, None], areas(second)[None, :])
    return np.asarray(intersections(first, second) / np.maximum(smaller, 1e-9))


def suppress(closeness: Floats, scores: Floats, limit: float) -> list[list[int]]:
    """Group detections of the same object: non-maximum suppression on a closeness matrix.

    `closeness` is (N, N), `scores` is (N,). Each group has the best remaining detection, followed
    by all others that are closer to it than `limit`; groups are ordered best first.
    """
    # Plain lists, because there are few detections.
    left: list[int] = np.argsort(-scores, kind="stable").tolist()
    is_near: list[list[bool]] = (closeness > limit).tolist()
    groups = []
    while left:
        best, *others = left
        near = is_near[best]
        groups.append([best, *(one for one in others if near[one])])
        left = [one for one in others if not near[one]]
    return groups
