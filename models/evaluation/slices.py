"""Accuracy by slices of the faces: voter agreement, brightness, sharpness."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models.evaluation.datasets import Dataset, Images
from emostream.models.evaluation.scores import Interval, wilson_interval
from emostream.models.face_arrays import to_gray
from emostream.models.labels import LABELS

Mask: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]

SIDE: Final = 48  # sharpness is measured at this size
AGREEMENT: Final = (
    ("90% or more", 0.9, 1.01),
    ("70 to 90%", 0.7, 0.9),
    ("50 to 70%", 0.5, 0.7),
    ("below 50%", 0.0, 0.5),
)
THIRDS: Final = {
    "brightness": ("darkest third", "middle third", "brightest third"),
    "sharpness": ("softest third", "middle third", "sharpest third"),
}


@dataclass(frozen=True)
class Slice:
    """The accuracy on a part of the faces, with its 95% interval."""

    by: str
    part: str
    faces: int
    accuracy: float
    interval: Interval


def slice_accuracies(dataset: Dataset, right: Mask) -> list[Slice]:
    """Return the accuracy on each slice; `right`, bool (N,), says which faces are right.

    Faces that the dataset's protocol excludes do not count; empty slices have no row.
    """
    counted = dataset.truths[dataset.protocol] >= 0
    return [
        _slice(by, part, right[chosen & counted])
        for by, part, chosen in slice_masks(dataset)
        if (chosen & counted).any()
    ]


def slice_masks(dataset: Dataset) -> Iterator[tuple[str, str, Mask]]:
    """Yield the criterion, name, and mask of faces (N,) of each slice."""
    if dataset.votes is not None:
        share = agreement(dataset.votes)
        for name, low, high in AGREEMENT:
            yield "agreement", name, (share >= low) & (share < high)
    light, detail = brightness_and_sharpness(dataset.images)
    for (by, names), values in zip(THIRDS.items(), (light, detail), strict=True):
        # By rank, so that thirds have equal sizes even if many values are equal.
        third = 3 * values.argsort(kind="stable").argsort() // len(values)
        for index, name in enumerate(names):
            yield by, name, third == index


def agreement(votes: NDArray[np.uint8]) -> Floats:
    """Return the winning emotion's share of all votes for each face."""
    total = votes.sum(axis=1, dtype=np.float64)
    return np.asarray(votes[:, : len(LABELS)].max(axis=1) / np.maximum(total, 1))


def brightness_and_sharpness(images: Images) -> tuple[Floats, Floats]:
    """Return mean gray level and sharpness (variance of the Laplacian at 48 x 48) of each face."""
    light, detail = np.empty(len(images)), np.empty(len(images))
    for index, image in enumerate(images):
        face = cv2.resize(to_gray(image[None])[0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        light[index] = face.mean()
        detail[index] = cv2.Laplacian(face, cv2.CV_64F).var()
    return light, detail


def _slice(by: str, part: str, right: Mask) -> Slice:
    hits = int(right.sum())
    return Slice(by, part, len(right), hits / len(right), wilson_interval(hits, len(right)))
