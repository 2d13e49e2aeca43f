"""Corruption robustness: how much accuracy a model loses on corrupted faces."""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.models.evaluation.corruptions import CORRUPTIONS, Corruption
from emostream.models.evaluation.datasets import Dataset
from emostream.models.evaluation.evaluator import OnProgress, Predictor, predict_all
from emostream.models.evaluation.scores import Interval, wilson_interval
from emostream.models.face_arrays import to_gray
from emostream.models.quality import assess
from emostream.shared.messages import Face
from emostream.shared.pixels import Image

Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Robustness:
    """The accuracy under one corruption; `lost` is the difference to the accuracy without it.

    `kept` is the share of the faces with sufficient quality; the two figures after it are for these
    faces only, None if there are none.
    """

    condition: str
    faces: int
    accuracy: float
    interval: Interval
    lost: float
    kept: float
    kept_accuracy: float | None
    kept_lost: float | None


def measure_robustness(
    model: Predictor,
    dataset: Dataset,
    seed: int = 0,
    on_progress: OnProgress = lambda done, total: None,
    min_quality: float = 0.0,
) -> list[Robustness]:
    """Evaluate a model on the faces under each of `CORRUPTIONS`.

    Faces with a quality of at least `min_quality` (0..1) are kept; the quality is that of bare
    crops.
    """
    faces = dataset.subset(np.flatnonzero(dataset.truths[dataset.protocol] >= 0))
    clean = _correct(model, faces)
    rows = []
    for number, corruption in enumerate(CORRUPTIONS, 1):
        changed = corrupted(faces, corruption, seed)
        qualities = np.array([_quality(image, corruption.side) for image in changed.images])
        rows.append(
            _row(corruption.name, clean, _correct(model, changed), qualities >= min_quality)
        )
        on_progress(number * len(faces), len(CORRUPTIONS) * len(faces))
    return rows


def corrupted(dataset: Dataset, corruption: Corruption, seed: int) -> Dataset:
    """Return the corrupted faces; the noise depends only on the seed."""
    random = np.random.default_rng(seed)
    images = [corruption.crop(image, random) for image in dataset.images]
    return replace(dataset, images=images)


def _row(condition: str, clean: Flags, right: Flags, kept: Flags) -> Robustness:
    accuracy, faces = float(right.mean()), len(right)
    return Robustness(
        condition,
        faces,
        accuracy,
        wilson_interval(int(right.sum()), faces),
        float(clean.mean()) - accuracy,
        float(kept.mean()),
        float(right[kept].mean()) if kept.any() else None,
        float(clean[kept].mean() - right[kept].mean()) if kept.any() else None,
    )


def _correct(model: Predictor, faces: Dataset) -> Flags:
    given = predict_all(model, faces.images).argmax(axis=1)
    return np.asarray(given == faces.truths[faces.protocol], np.bool_)


def _quality(image: Image, side: int | None) -> float:
    """Return the quality of a bare crop, which has no landmarks; `side` is the face's side."""
    gray = to_gray(image[None])[0]
    down, across = (side, side) if side else gray.shape
    face = Face(track=0, box=(0.0, 0.0, across, down), score=1.0, landmarks=())
    return assess(gray, face, across, down).overall
