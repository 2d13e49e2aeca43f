"""How much accuracy a model loses on faces that were made worse."""

from dataclasses import dataclass, replace

import numpy as np

from emostream.models.evaluation.conditions import CONDITIONS, Condition
from emostream.models.evaluation.datasets import Dataset
from emostream.models.evaluation.judge import Predictor, Tell, predict
from emostream.models.evaluation.scores import Interval, wilson


@dataclass(frozen=True)
class Robustness:
    """The accuracy on faces that were made worse; `lost` is what it was before, less this."""

    condition: str
    faces: int
    accuracy: float
    interval: Interval
    lost: float


def robustness(
    model: Predictor, dataset: Dataset, seed: int = 0, tell: Tell = lambda done, total: None
) -> list[Robustness]:
    """Judge a model on the faces made worse in each way of `CONDITIONS`."""
    faces = dataset.chosen(np.flatnonzero(dataset.truths[dataset.protocol] >= 0))
    sets = [faces, *(spoiled(faces, condition, seed) for condition in CONDITIONS)]
    hits = []
    for number, worse in enumerate(sets):
        hits.append(_right(model, worse))
        tell((number + 1) * len(faces), len(sets) * len(faces))
    return [
        Robustness(
            condition.name,
            len(faces),
            right / len(faces),
            wilson(right, len(faces)),
            (hits[0] - right) / len(faces),
        )
        for condition, right in zip(CONDITIONS, hits[1:], strict=True)
    ]


def spoiled(dataset: Dataset, condition: Condition, seed: int) -> Dataset:
    """Return the faces made worse; the seed alone decides the noise."""
    random = np.random.default_rng(seed)
    images = [condition.crop(image, random) for image in dataset.images]
    return replace(dataset, images=images)


def _right(model: Predictor, faces: Dataset) -> int:
    given = predict(model, faces.images).argmax(axis=1)
    return int((given == faces.truths[faces.protocol]).sum())
