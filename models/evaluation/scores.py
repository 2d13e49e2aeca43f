"""Scores of predicted probabilities: accuracy, recall, confusion, calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emostream.models.labels import LABELS

Probabilities = NDArray[np.float32]
Labels = NDArray[np.intp]
Floats = NDArray[np.float64]
Interval = tuple[float, float]

BINS: Final = 15  # of the confidence, as in Guo et al. 2017
DRAWS: Final = 2000  # of a bootstrap


@dataclass(frozen=True)
class Scores:
    """Scores on `faces` labeled faces.

    `interval` is the 95% interval of the accuracy, `macro_interval` that of the macro recall.
    `recall`, `precision` and `f1` have one share per label, NaN if undefined. `confusion` counts
    faces by [true label][predicted label], `nll` is the mean negative log likelihood of the true
    label, `ece` the expected calibration error.
    """

    faces: int
    accuracy: float
    interval: Interval
    macro_recall: float
    macro_interval: Interval
    recall: dict[str, float]
    precision: dict[str, float]
    f1: dict[str, float]
    nll: float
    ece: float
    confusion: list[list[int]]


def score(probabilities: Probabilities, labels: Labels, names: Sequence[str] = LABELS) -> Scores:
    """Score probabilities (N, C) against labels (N,), where -1 leaves a face out.

    At least one face must remain. `names` are the names of the C columns.
    """
    kept = labels >= 0
    probabilities, labels = probabilities[kept], labels[kept]
    given = probabilities.argmax(axis=1)
    counts = confusion(labels, given, len(names))
    recall, precision = recalls(counts), recalls(counts.T)
    right = int((given == labels).sum())
    return Scores(
        faces=len(labels),
        accuracy=right / len(labels),
        interval=wilson_interval(right, len(labels)),
        macro_recall=float(np.nanmean(recall)),
        macro_interval=macro_recall_interval(counts),
        recall=_named(names, recall),
        precision=_named(names, precision),
        f1=_named(names, f1(counts)),
        nll=negative_log_likelihood(probabilities, labels),
        ece=calibration_error(probabilities, labels),
        confusion=counts.tolist(),
    )


def confusion(true: Labels, given: Labels, classes: int = len(LABELS)) -> Labels:
    """Count faces by true label (rows) and predicted label (columns)."""
    counts = np.zeros((classes, classes), np.intp)
    np.add.at(counts, (true, given), 1)
    return counts


def recalls(counts: Labels) -> Floats:
    """Return the share of each row that is on the diagonal, NaN for an empty row.

    For a confusion matrix, this is the recall of each label; for its transpose, the precision.
    """
    faces = counts.sum(axis=1).astype(np.float64)
    return np.where(faces > 0, counts.diagonal() / np.maximum(faces, 1), np.nan)


def f1(counts: Labels) -> Floats:
    """Return the harmonic mean of recall and precision per label, NaN if it never occurs."""
    both = (counts.sum(axis=0) + counts.sum(axis=1)).astype(np.float64)
    return np.where(both > 0, 2 * counts.diagonal() / np.maximum(both, 1), np.nan)


def macro_recall_interval(counts: Labels, draws: int = DRAWS) -> Interval:
    """Return the 95% interval of the macro recall: a percentile bootstrap over the faces.

    Only a face's true label and whether it was recognized matter, so resampling faces is drawing
    these counts from a multinomial. A label without faces in a draw is left out of the draw's mean.
    """
    found = counts.diagonal()
    cells = np.concatenate([found, counts.sum(axis=1) - found])
    drawn = _resampled(cells, draws).reshape(draws, 2, -1)
    faces = drawn.sum(axis=1)
    shares = np.where(faces > 0, drawn[:, 0] / np.maximum(faces, 1), np.nan)
    return _percentile_interval(np.nanmean(shares, axis=1))


def accuracy_loss_interval(
    before: NDArray[np.bool_], after: NDArray[np.bool_], draws: int = DRAWS
) -> Interval:
    """Return the 95% interval of the accuracy lost from `before` to `after`.

    Both say for the same faces (N,) whether the model is right. It is a paired percentile
    bootstrap.
    """
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    drawn = _resampled(np.array([lost, won, len(before) - lost - won]), draws)
    return _percentile_interval((drawn[:, 0] - drawn[:, 1]) / len(before))


def _resampled(cells: Labels, draws: int) -> Labels:
    """Resample the counts of as many faces, with replacement: (draws, cells)."""
    total = int(cells.sum())
    return np.random.default_rng(0).multinomial(total, cells / total, size=draws)


def _percentile_interval(values: Floats) -> Interval:
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def wilson_interval(right: int, total: int, z: float = 1.96) -> Interval:
    """Return the interval of a share (Wilson 1927), at 95% for z = 1.96."""
    share = right / total
    middle = share + z**2 / (2 * total)
    half = z * sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    return (middle - half) / scale, (middle + half) / scale


def negative_log_likelihood(probabilities: Probabilities, labels: Labels) -> float:
    """Return the mean of -log(probability of the true label)."""
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(true, 1e-12)).mean())


def calibration_error(
    probabilities: Probabilities,
    labels: Labels,
    bins: int = BINS,
    weights: Floats | None = None,
) -> float:
    """Return the expected calibration error over equal bins of confidence (Guo et al. 2017).

    `weights` (N,) are the weights of the faces, by default equal.
    """
    faces, confidence, right = reliability_sums(probabilities, labels, bins, weights)
    return float(np.abs(right - confidence).sum() / faces.sum())


def reliability_sums(
    probabilities: Probabilities,
    labels: Labels,
    bins: int = BINS,
    weights: Floats | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Return three sums over the faces in equal bins of the top label's probability.

    The sums (bins,) are the number of faces, their confidence, and how many are right, weighted by
    `weights` (N,) if given.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    bin_of = np.minimum((probabilities.max(axis=1) * bins).astype(np.intp), bins - 1)
    faces, sure, found = np.zeros((3, bins))
    np.add.at(faces, bin_of, weights)
    np.add.at(sure, bin_of, weights * confidence)
    np.add.at(found, bin_of, weights * right)
    return faces, sure, found


def _named(names: Sequence[str], values: Floats) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))
