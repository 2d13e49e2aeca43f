"""Corruption robustness: how much accuracy a model loses on corrupted faces."""

from dataclasses import dataclass, replace

import numpy as np

from emostream.models.evaluation.corruptions import CORRUPTIONS, Corruption
from emostream.models.evaluation.datasets import Dataset
from emostream.models.evaluation.evaluator import OnProgress, Predictor, predict_all
from emostream.models.evaluation.scores import Interval, wilson_interval


@dataclass(frozen=True)
class Robustness:
    """The accuracy under one corruption; `lost` is the accuracy without it, less this."""

    condition: str
    faces: int
    accuracy: float
    interval: Interval
    lost: float


def measure_robustness(
    model: Predictor,
    dataset: Dataset,
    seed: int = 0,
    on_progress: OnProgress = lambda done, total: None,
) -> list[Robustness]:
    """Evaluate a model on the faces under each of `CORRUPTIONS`."""
    faces = dataset.subset(np.flatnonzero(dataset.truths[dataset.protocol] >= 0))
    sets = [faces, *(corrupted(faces, corruption, seed) for corruption in CORRUPTIONS)]
    hits = []
    for number, changed in enumerate(sets):
        hits.append(_correct(model, changed))
        on_progress((number + 1) * len(faces), len(sets) * len(faces))
    return [
        Robustness(
            corruption.name,
            len(faces),
            right / len(faces),
            wilson_interval(right, len(faces)),
            (hits[0] - right) / len(faces),
        )
        for corruption, right in zip(CORRUPTIONS, hits[1:], strict=True)
    ]


def corrupted(dataset: Dataset, corruption: Corruption, seed: int) -> Dataset:
    """Return the faces corrupted; the seed alone decides the noise."""
    random = np.random.default_rng(seed)
    images = [corruption.crop(image, random) for image in dataset.images]
    return replace(dataset, images=images)


def _correct(model: Predictor, faces: Dataset) -> int:
    given = predict_all(model, faces.images).argmax(axis=1)
    return int((given == faces.truths[faces.protocol]).sum())
