"""Evaluates a model on labeled faces: scores, slices, and its worst misclassifications."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from emostream.models import ferplus
from emostream.models.evaluation.datasets import Dataset, Images, from_fer
from emostream.models.evaluation.scores import (
    Labels,
    Probabilities,
    Scores,
    reliability_sums,
    score,
)
from emostream.models.evaluation.slices import Slice, slice_accuracies
from emostream.models.face_arrays import to_gray
from emostream.models.labels import LABELS
from emostream.shared.plural import counted

CHUNK: Final = 256  # faces between progress reports
WORST_COUNT: Final = 20
VOTE_NAMES: Final = (*LABELS, "unknown", "not a face")

# Called with the number of processed faces and the total.
OnProgress = Callable[[int, int], None]


class Predictor(Protocol):
    """The interface of an evaluated model, such as `models.Classifier`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the columns of the result of `predict`."""

    def predict(self, faces: Any) -> Probabilities:
        """Return probabilities (N, C) for faces (N, H, W[, 3]) or a list of single faces."""


@dataclass(frozen=True)
class ProtocolScores:
    """The scores under one protocol: on one crop, and averaged with the mirrored crop."""

    protocol: str
    single: Scores
    mirrored: Scores


@dataclass(frozen=True)
class Misclassification:
    """A face, gray uint8 (H, W), predicted as `given` with `probability`; its label is `true`."""

    picture: NDArray[np.uint8]
    true: str
    true_probability: float
    given: str
    probability: float
    votes: dict[str, int]


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of the reliability diagram: faces with similar confidence."""

    faces: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """All figures of one pass over the faces; detailed tables use `protocol`.

    `flips` is the share of faces whose label changes when they are mirrored.
    """

    protocol: str
    verdicts: list[ProtocolScores]
    flips: float
    bins: list[ReliabilityBin]
    slices: list[Slice]
    mistakes: list[Misclassification]


def predict_all(
    model: Predictor, images: Images, on_progress: OnProgress = lambda done, total: None
) -> Probabilities:
    """Return the probabilities (N, C) of all images, in chunks."""
    rows = [np.empty((0, len(model.labels)), np.float32)]
    for start in range(0, len(images), CHUNK):
        rows.append(model.predict(images[start : start + CHUNK]))
        on_progress(min(start + CHUNK, len(images)), len(images))
    return np.concatenate(rows)


def mirror(images: Images) -> Images:
    """Return the mirrored faces."""
    if isinstance(images, np.ndarray):
        return np.ascontiguousarray(images[:, :, ::-1])
    return [np.ascontiguousarray(image[:, ::-1]) for image in images]


def evaluate(
    model: Predictor, dataset: Dataset, on_progress: OnProgress = lambda done, total: None
) -> Evaluation:
    """Evaluate a model on a dataset that was loaded with its labels."""
    count = len(dataset)
    single = predict_all(model, dataset.images, lambda done, _: on_progress(done, 2 * count))
    other = predict_all(
        model, mirror(dataset.images), lambda done, _: on_progress(count + done, 2 * count)
    )
    both = np.asarray((single + other) / 2, np.float32)
    truth = dataset.truths[dataset.protocol]
    counted = np.flatnonzero(truth >= 0)
    return Evaluation(
        protocol=dataset.protocol,
        verdicts=[
            ProtocolScores(
                name, score(single, labels, model.labels), score(both, labels, model.labels)
            )
            for name, labels in dataset.truths.items()
            if (labels >= 0).any()
        ],
        flips=float((single.argmax(axis=1) != other.argmax(axis=1))[counted].mean()),
        bins=reliability_bins(single[counted], truth[counted]),
        slices=slice_accuracies(dataset, single.argmax(axis=1) == truth),
        mistakes=worst_misclassifications(dataset, single, model.labels),
    )


def reliability_bins(probabilities: Probabilities, truth: Labels) -> list[ReliabilityBin]:
    """Return the non-empty bins of the reliability diagram, least confident first."""
    sums = zip(*reliability_sums(probabilities, truth), strict=True)
    return [
        ReliabilityBin(int(faces), confidence / faces, right / faces)
        for faces, confidence, right in sums
        if faces
    ]


def worst_misclassifications(
    dataset: Dataset, probabilities: Probabilities, labels: Sequence[str], most: int = WORST_COUNT
) -> list[Misclassification]:
    """Return the faces whose true label got the lowest probability, worst first."""
    truth = dataset.truths[dataset.protocol]
    given = probabilities.argmax(axis=1)
    wrong = np.flatnonzero((truth >= 0) & (given != truth))
    worst = wrong[np.argsort(probabilities[wrong, truth[wrong]], kind="stable")][:most]
    return [
        Misclassification(
            picture=to_gray(dataset.images[index][None])[0],
            true=labels[truth[index]],
            true_probability=float(probabilities[index, truth[index]]),
            given=labels[given[index]],
            probability=float(probabilities[index, given[index]]),
            votes=_votes(dataset, int(index)),
        )
        for index in worst
    ]


def _votes(dataset: Dataset, index: int) -> dict[str, int]:
    """Return the votes for a face, highest first."""
    if dataset.votes is None:
        return {}
    counts = zip(VOTE_NAMES, dataset.votes[index].tolist(), strict=True)
    return {name: votes for name, votes in sorted(counts, key=lambda pair: -pair[1]) if votes}


def score_protocols(model: Predictor, faces: ferplus.FerFaces) -> dict[str, Scores]:
    """Score a model on one crop of each face, by protocol."""
    dataset = from_fer(faces, model.labels)
    probabilities = predict_all(model, dataset.images)
    return {
        name: score(probabilities, labels, model.labels) for name, labels in dataset.truths.items()
    }


def format_scores(name: str, scores: Scores) -> str:
    """Return the figures of one protocol as text."""
    (low, high), (least, most) = scores.interval, scores.macro_interval
    names = list(scores.recall)
    lines = [
        f"Protocol {name}, {counted(scores.faces, 'face')}",
        f"  accuracy {scores.accuracy:.2%} (95% interval {low:.2%} to {high:.2%})",
        f"  macro recall {scores.macro_recall:.2%} ({least:.2%} to {most:.2%}),"
        f" NLL {scores.nll:.4f}, ECE {scores.ece:.4f}",
        "",
        f"  {'true, given:':<14}{''.join(f'{label:>10}' for label in names)}"
        f"{'recall':>10}{'precision':>10}{'F1':>10}",
    ]
    for label, counts in zip(names, scores.confusion, strict=True):
        cells = "".join(f"{count:>10}" for count in counts)
        shares = (scores.recall[label], scores.precision[label], scores.f1[label])
        lines.append(f"  {label:<14}{cells}" + "".join(f"{_percent(one):>10}" for one in shares))
    return "\n".join(lines)


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{share:.1%}"
