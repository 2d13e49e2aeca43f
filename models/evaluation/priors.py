"""Compares priors on all faces, on clear faces as a proxy for posed ones, and with other shares."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.models.evaluation.datasets import Dataset
from emostream.models.evaluation.scores import (
    Interval,
    Labels,
    Probabilities,
    Scores,
    calibration_error,
    confusion,
    macro_recall_interval,
    negative_log_likelihood,
    recalls,
    score,
)
from emostream.models.evaluation.slices import agreement
from emostream.models.prior import ESTIMATED, Reweighting, choose_reweighting
from emostream.models.prior_estimation import estimate_shares
from emostream.models.spec import ModelSpec
from emostream.shared.prior import Prior

Setting: TypeAlias = tuple[Prior, float]

SETTINGS: Final[tuple[Setting, ...]] = (
    *(("natural", strength) for strength in (1.0, 0.5)),
    *(("uniform", strength) for strength in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)),
)
CLEAR: Final = 0.8  # the winner's minimum share of the votes for a clear face
# The most that a default may cost on all faces: accuracy compared with the best setting, and the
# ECE.
LOSS_LIMIT: Final = 0.005
ECE_LIMIT: Final = 0.025
CLEAR_NOISE: Final = 0.01
DRAWN: Final = 200  # faces in each draw
DRAWS: Final = 20
FREQUENT: Final = 0.6  # share of the frequent label in a draw


@dataclass(frozen=True)
class PosedScores:
    """Scores on clear faces, with equal weight for each label, so that accuracy is macro recall.

    `recall` is the macro recall with its 95% `interval`.
    """

    faces: int
    recall: float
    interval: Interval
    ece: float


@dataclass(frozen=True)
class PriorScores:
    """The scores with one prior: by protocol on all faces, and on clear ones."""

    prior: str
    natural: dict[str, Scores]
    posed: PosedScores


@dataclass(frozen=True)
class DrawnScores:
    """Mean accuracy and NLL by prior, on faces drawn with the shares described by `shares`."""

    shares: str
    accuracy: dict[str, float]
    nll: dict[str, float]


@dataclass(frozen=True)
class PriorComparison:
    """All priors; `chosen` is the one selected by the rule for the default, "" if none qualifies.

    The rule: of the priors that cost at most half a point of accuracy compared with the best one
    and have an ECE of at most 2.5%, keep those within a point of the best accuracy on clear faces,
    then take the one with the highest macro recall.
    """

    protocol: str
    current: str
    chosen: str
    rows: list[PriorScores]
    drawn: list[DrawnScores]


def compare_priors(
    spec: ModelSpec, model: str, dataset: Dataset, probabilities: Probabilities, seed: int = 0
) -> PriorComparison:
    """Compare priors on the probabilities (N, C) of a model as trained.

    Raises ConfigError if its TOML does not state the label shares in training.
    """
    settings = [_chosen(spec, model, *setting) for setting in SETTINGS]
    current = _chosen(spec, model, None, None)
    rows = [_scores(dataset, probabilities, prior) for prior in _distinct([*settings, current])]
    drawn = draw_with_other_shares(spec, model, dataset, probabilities, seed)
    chosen = choose_default(rows, dataset.protocol)
    return PriorComparison(dataset.protocol, str(current), chosen, rows, drawn)


def choose_default(rows: Sequence[PriorScores], protocol: str) -> str:
    """Return the prior selected by the rule in PriorComparison."""
    best = max(row.natural[protocol].accuracy for row in rows)
    fits = [
        row
        for row in rows
        if row.natural[protocol].accuracy >= best - LOSS_LIMIT
        and row.natural[protocol].ece <= ECE_LIMIT
    ]
    if not fits:
        return ""
    # There are few clear faces with rare labels, so a difference of a point is noise.
    clear = max(row.posed.recall for row in fits) - CLEAR_NOISE
    level = [row for row in fits if row.posed.recall >= clear]
    return max(level, key=lambda row: row.natural[protocol].macro_recall).prior


def clear_faces(dataset: Dataset) -> NDArray[np.intp]:
    """Return the indices of faces on which voters agree, or of all faces if votes are unknown."""
    labeled = dataset.truths[dataset.protocol] >= 0
    if dataset.votes is not None:
        labeled = labeled & (agreement(dataset.votes) >= CLEAR)
    return np.flatnonzero(labeled)


def draw_with_other_shares(
    spec: ModelSpec, model: str, dataset: Dataset, probabilities: Probabilities, seed: int
) -> list[DrawnScores]:
    """Draw faces as they occur, with equal shares, and with each label as the frequent one.

    Each draw is scored with the model's own prior, "natural", "uniform", the prior estimated from
    its faces without labels, and the true prior.
    """
    truth = dataset.truths[dataset.protocol]
    natural = np.bincount(truth[truth >= 0], minlength=len(spec.labels)).astype(np.float64)
    natural /= natural.sum()
    wanted = {"as they occur": natural, "equal": (natural > 0) / (natural > 0).sum()}
    for label, one in zip(spec.labels, np.eye(len(spec.labels)), strict=True):
        if natural @ one > 0:
            rest = natural * (1 - one) / max(float(natural @ (1 - one)), 1e-12)
            wanted[f"{FREQUENT:.0%} {label}"] = FREQUENT * one + (1 - FREQUENT) * rest
    random = np.random.default_rng(seed)
    found = []
    for name, shares in wanted.items():
        draws = [_draw(truth, shares, random) for _ in range(DRAWS)]
        rows = [_judge(spec, model, probabilities[at], truth[at], shares) for at in draws]
        means = {prior: np.mean([row[prior] for row in rows], axis=0) for prior in rows[0]}
        found.append(
            DrawnScores(
                name,
                {prior: float(mean[0]) for prior, mean in means.items()},
                {prior: float(mean[1]) for prior, mean in means.items()},
            )
        )
    return found


def _draw(
    truth: Labels, shares: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.intp]:
    """Return the indices of faces drawn with these label shares."""
    labels = random.choice(len(shares), DRAWN, p=shares)
    return np.array([random.choice(np.flatnonzero(truth == label)) for label in labels], np.intp)


def _judge(
    spec: ModelSpec,
    model: str,
    probabilities: Probabilities,
    truth: Labels,
    shares: NDArray[np.float64],
) -> dict[str, tuple[float, float]]:
    """Return accuracy and NLL by prior."""
    uniform = _chosen(spec, model, "uniform", 1.0)
    estimated = estimate_shares(probabilities, np.array(uniform.trained))
    priors = {
        "the model's": _chosen(spec, model, None, None),
        "natural": _chosen(spec, model, "natural", 1.0),
        "uniform": uniform,
        ESTIMATED: dataclasses.replace(uniform, wanted=tuple(estimated)),
        "true": dataclasses.replace(uniform, wanted=tuple(shares)),
    }
    return {name: _judged(prior.apply(probabilities), truth) for name, prior in priors.items()}


def _judged(given: Probabilities, truth: Labels) -> tuple[float, float]:
    right = float((given.argmax(axis=1) == truth).mean())
    return right, negative_log_likelihood(given, truth)


def _scores(dataset: Dataset, probabilities: Probabilities, prior: Reweighting) -> PriorScores:
    given = prior.apply(probabilities)
    natural = {
        name: score(given, labels, prior.labels)
        for name, labels in dataset.truths.items()
        if (labels >= 0).any()
    }
    return PriorScores(str(prior), natural, _posed(dataset, given))


def _posed(dataset: Dataset, given: Probabilities) -> PosedScores:
    clear = clear_faces(dataset)
    given, truth = given[clear], dataset.truths[dataset.protocol][clear]
    counts = confusion(truth, given.argmax(axis=1), given.shape[1])
    weights = 1 / counts.sum(axis=1)[truth]
    return PosedScores(
        len(clear),
        float(np.nanmean(recalls(counts))),
        macro_recall_interval(counts),
        calibration_error(given, truth, weights=weights),
    )


def _chosen(
    spec: ModelSpec, model: str, prior: Prior | None, strength: float | None
) -> Reweighting:
    chosen = choose_reweighting(spec, model, prior, strength)
    assert chosen is not None
    return chosen


def _distinct(priors: Sequence[Reweighting]) -> list[Reweighting]:
    """Return the priors in order, without duplicates."""
    return list({str(prior): prior for prior in priors}.values())
