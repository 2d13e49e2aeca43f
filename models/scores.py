"""Figures that say how good probabilities are: accuracy, recall, confusion, calibration."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from models.labels import LABELS

Probabilities = NDArray[np.float32]
Labels = NDArray[np.intp]


@dataclass(frozen=True)
class Scores:
    """What was measured on `faces` labelled faces.

    `interval` is the 95% interval of the accuracy, `recall` one share a label (NaN without a
    face of it), `confusion` counts faces by [true label][given label], `nll` is the mean negative
    log likelihood of the true label, `ece` the expected calibration error.
    """

    faces: int
    accuracy: float
    interval: tuple[float, float]
    macro_recall: float
    recall: dict[str, float]
    nll: float
    ece: float
    confusion: list[list[int]]


def score(probabilities: Probabilities, labels: Labels) -> Scores:
    """Score probabilities (N, 8) against labels (N,), where -1 leaves a face out."""
    kept = labels >= 0
    probabilities, labels = probabilities[kept], labels[kept]
    given = probabilities.argmax(axis=1)
    counts = confusion(labels, given)
    recall = recalls(counts)
    right = int((given == labels).sum())
    return Scores(
        faces=len(labels),
        accuracy=right / len(labels),
        interval=wilson(right, len(labels)),
        macro_recall=float(np.nanmean(recall)),
        recall=dict(zip(LABELS, recall.tolist(), strict=True)),
        nll=negative_log_likelihood(probabilities, labels),
        ece=calibration_error(probabilities, labels),
        confusion=counts.tolist(),
    )


def confusion(true: Labels, given: Labels) -> NDArray[np.intp]:
    """Count faces by true label (rows) and given label (columns)."""
    counts = np.zeros((len(LABELS), len(LABELS)), np.intp)
    np.add.at(counts, (true, given), 1)
    return counts


def recalls(counts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the share of each true label that was found, NaN where there is no face of it."""
    faces = counts.sum(axis=1).astype(np.float64)
    return np.where(faces > 0, counts.diagonal() / np.maximum(faces, 1), np.nan)


def wilson(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of a share by Wilson 1927, at 95% for z = 1.96."""
    share = right / total
    middle = share + z**2 / (2 * total)
    half = z * sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    return (middle - half) / scale, (middle + half) / scale


def negative_log_likelihood(probabilities: Probabilities, labels: Labels) -> float:
    """Return the mean of -log(probability of the true label)."""
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(true, 1e-12)).mean())


def calibration_error(probabilities: Probabilities, labels: Labels, bins: int = 15) -> float:
    """Return the expected calibration error over equal bins of confidence (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(np.intp), bins - 1)
    gaps = np.bincount(bin_of, weights=right - confidence.astype(np.float64), minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
