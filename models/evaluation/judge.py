"""Judgement of a model on labelled faces: figures, slices, and what it is most wrong about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from emostream.models import data
from emostream.models.evaluation.datasets import Dataset, Images, from_fer
from emostream.models.evaluation.scores import Labels, Probabilities, Scores, reliability, score
from emostream.models.evaluation.slices import Slice, slices
from emostream.models.faces import gray
from emostream.models.labels import LABELS

CHUNK: Final = 256  # faces between two states of a progress bar
WORST: Final = 20
VOTED: Final = (*LABELS, "unknown", "not a face")

# Called with the faces that are done and all of them.
Tell = Callable[[int, int], None]


class Predictor(Protocol):
    """What is judged: `models.Classifier`, or anything that predicts as it does."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the columns of what `predict` returns."""

    def predict(self, faces: Any) -> Probabilities:
        """Return probabilities (N, C) for faces (N, H, W[, 3]) or a list of single ones."""


@dataclass(frozen=True)
class Verdict:
    """The figures under one protocol: of one crop, and of the mean with the mirrored crop."""

    protocol: str
    single: Scores
    mirrored: Scores


@dataclass(frozen=True)
class Mistake:
    """A face, gray uint8 (H, W), that was taken for `given` with `probability`; it is `true`."""

    picture: NDArray[np.uint8]
    true: str
    true_probability: float
    given: str
    probability: float
    votes: dict[str, int]


@dataclass(frozen=True)
class Bin:
    """The faces to which the model gives about the same confidence."""

    faces: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """All that one look at the faces tells; details follow `protocol`.

    `flips` is the share of faces whose label changes when they are mirrored.
    """

    protocol: str
    verdicts: list[Verdict]
    flips: float
    bins: list[Bin]
    slices: list[Slice]
    mistakes: list[Mistake]


def predict(
    model: Predictor, images: Images, tell: Tell = lambda done, total: None
) -> Probabilities:
    """Return the probabilities (N, C) of all images, saying how far it is."""
    rows = [np.empty((0, len(model.labels)), np.float32)]
    for start in range(0, len(images), CHUNK):
        rows.append(model.predict(images[start : start + CHUNK]))
        tell(min(start + CHUNK, len(images)), len(images))
    return np.concatenate(rows)


def mirrored(images: Images) -> Images:
    """Return the faces with left and right exchanged."""
    if isinstance(images, np.ndarray):
        return np.ascontiguousarray(images[:, :, ::-1])
    return [np.ascontiguousarray(image[:, ::-1]) for image in images]


def judge(model: Predictor, dataset: Dataset, tell: Tell = lambda done, total: None) -> Evaluation:
    """Judge a model on a dataset that was read for its labels."""
    count = len(dataset)
    single = predict(model, dataset.images, lambda done, _: tell(done, 2 * count))
    other = predict(model, mirrored(dataset.images), lambda done, _: tell(count + done, 2 * count))
    both = np.asarray((single + other) / 2, np.float32)
    truth = dataset.truths[dataset.protocol]
    counted = np.flatnonzero(truth >= 0)
    return Evaluation(
        protocol=dataset.protocol,
        verdicts=[
            Verdict(name, score(single, labels, model.labels), score(both, labels, model.labels))
            for name, labels in dataset.truths.items()
            if (labels >= 0).any()
        ],
        flips=float((single.argmax(axis=1) != other.argmax(axis=1))[counted].mean()),
        bins=bins(single[counted], truth[counted]),
        slices=slices(dataset, single.argmax(axis=1) == truth),
        mistakes=mistakes(dataset, single, model.labels),
    )


def bins(probabilities: Probabilities, truth: Labels) -> list[Bin]:
    """Return the bins of the reliability diagram, least confident first, none empty."""
    sums = zip(*reliability(probabilities, truth), strict=True)
    return [
        Bin(int(faces), confidence / faces, right / faces)
        for faces, confidence, right in sums
        if faces
    ]


def mistakes(
    dataset: Dataset, probabilities: Probabilities, labels: Sequence[str], most: int = WORST
) -> list[Mistake]:
    """Return the faces whose true label got the least probability, the worst first."""
    truth = dataset.truths[dataset.protocol]
    given = probabilities.argmax(axis=1)
    wrong = np.flatnonzero((truth >= 0) & (given != truth))
    worst = wrong[np.argsort(probabilities[wrong, truth[wrong]], kind="stable")][:most]
    return [
        Mistake(
            picture=gray(dataset.images[index][None])[0],
            true=labels[truth[index]],
            true_probability=float(probabilities[index, truth[index]]),
            given=labels[given[index]],
            probability=float(probabilities[index, given[index]]),
            votes=_votes(dataset, int(index)),
        )
        for index in worst
    ]


def _votes(dataset: Dataset, index: int) -> dict[str, int]:
    """Return what people said of a face, most votes first."""
    if dataset.votes is None:
        return {}
    counts = zip(VOTED, dataset.votes[index].tolist(), strict=True)
    return {name: votes for name, votes in sorted(counts, key=lambda pair: -pair[1]) if votes}


def evaluate(model: Predictor, faces: data.Faces) -> dict[str, Scores]:
    """Score a model on one crop of each face, by the name of the protocol."""
    dataset = from_fer(faces, model.labels)
    probabilities = predict(model, dataset.images)
    return {
        name: score(probabilities, labels, model.labels) for name, labels in dataset.truths.items()
    }


def table(name: str, scores: Scores) -> str:
    """Return the figures of one protocol as text."""
    (low, high), (least, most) = scores.interval, scores.macro_interval
    names = list(scores.recall)
    lines = [
        f"Protocol {name}, {scores.faces} faces",
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
