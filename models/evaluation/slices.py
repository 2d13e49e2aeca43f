"""How accuracy depends on the face: agreement of the voters, brightness, sharpness."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models.evaluation.datasets import Dataset, Images
from emostream.models.evaluation.scores import Interval, wilson
from emostream.models.faces import gray

Mask: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]

EMOTIONS: Final = 8  # of the ten columns of votes
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


def slices(dataset: Dataset, right: Mask) -> list[Slice]:
    """Cut the faces (N,) in parts; `right` says of each whether the model is right about it.

    Faces that the dataset's protocol leaves out count nowhere, and a part without faces has no row.
    """
    counted = dataset.truths[dataset.protocol] >= 0
    return [
        _slice(by, part, right[chosen & counted])
        for by, part, chosen in parts(dataset)
        if (chosen & counted).any()
    ]


def parts(dataset: Dataset) -> Iterator[tuple[str, str, Mask]]:
    """Give by what the faces are cut, the part's name, and which faces (N,) are in it."""
    if dataset.votes is not None:
        share = agreement(dataset.votes)
        for name, low, high in AGREEMENT:
            yield "agreement", name, (share >= low) & (share < high)
    light, detail = looks(dataset.images)
    for (by, names), values in zip(THIRDS.items(), (light, detail), strict=True):
        # By rank, so that each third has its faces also where many values are equal.
        third = 3 * values.argsort(kind="stable").argsort() // len(values)
        for index, name in enumerate(names):
            yield by, name, third == index


def agreement(votes: NDArray[np.uint8]) -> Floats:
    """Return which share of all its votes the winning emotion of each face has."""
    total = votes.sum(axis=1, dtype=np.float64)
    return np.asarray(votes[:, :EMOTIONS].max(axis=1) / np.maximum(total, 1))


def looks(images: Images) -> tuple[Floats, Floats]:
    """Return mean gray level and sharpness (variance of the Laplacian at 48 x 48) of each face."""
    light, detail = np.empty(len(images)), np.empty(len(images))
    for index, image in enumerate(images):
        face = cv2.resize(gray(image[None])[0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        light[index] = face.mean()
        detail[index] = cv2.Laplacian(face, cv2.CV_64F).var()
    return light, detail


def _slice(by: str, part: str, right: Mask) -> Slice:
    hits = int(right.sum())
    return Slice(by, part, len(right), hits / len(right), wilson(hits, len(right)))
