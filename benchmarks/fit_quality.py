"""Fits the quality of faces (models/quality.toml) to faces degraded in known ways.

    python -m benchmarks.fit_quality

The fit uses held-out faces of the Training split, and is checked on faces of PublicTest. Each face
is drawn, degraded, detected, aligned and classified. Prints the tables in models/CARD.md and
creates its figure. Run it again when the classifier or the detector changes.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import tomli_w
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.degraded_faces import NOT_A_FACE, WAYS, DegradedFace, degraded_faces
from emostream.models import Classifier, load
from emostream.models.ferplus import (
    FOLDER,
    FerFaces,
    load_faces,
    protocol_b,
    split_training,
    usable,
)
from emostream.models.quality import FITTED, Fit, measure, probability, terms
from emostream.services.detector.backends import CHOICES, Selection, create, select
from emostream.services.detector.detection import FaceDetector
from emostream.shared.config import Classifier as Settings
from emostream.shared.progress import ProgressBar

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

FIGURE: Final = Path("models/quality.png")
# For windows of 720 pixels: like frames of 1440 and 720 pixels, shrunk for YuNet.
LONG_SIDES: Final = (320, 640)
PENALTY: Final = 1.0  # penalty for a weight of 1, in faces
BATCH: Final = 256
BINS: Final = np.array([0, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 1])
LIMITS: Final = (0.0, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


@dataclass(frozen=True)
class JudgedFaces:
    """Detected faces: the values (N, T) of their terms, correctness, and degradation."""

    names: tuple[str, ...]
    values: Floats
    right: Flags
    ways: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.right)


def judge(
    faces: FerFaces, count: int, detectors: Sequence[FaceDetector], model: Classifier,
    least: float, seed: int,
) -> JudgedFaces:  # fmt: skip
    """Degrade, detect and classify `count` faces; false boxes count as wrong.

    A false box counts only if its score is at least `least`, because otherwise it would not start a
    track.
    """
    found: list[DegradedFace] = []
    with ProgressBar("degrading", count, "faces") as bar:
        for done, some in enumerate(degraded_faces(faces.images, detectors, count, seed), 1):
            found += [one for one in some if one.face != NOT_A_FACE or one.found.score >= least]
            bar.update(done)
    crops = np.stack([one.crop for one in found])
    given = np.concatenate(
        [model.predict(crops[at : at + BATCH]).argmax(axis=1) for at in range(0, len(crops), BATCH)]
    )
    truth = protocol_b(faces.votes)
    indices = np.array([one.face for one in found])
    rows = [terms(measure(one.crop[None], [one.found], one.width, one.height)[0]) for one in found]
    return JudgedFaces(
        names=tuple(rows[0]),
        values=np.array([list(row.values()) for row in rows]),
        right=(indices != NOT_A_FACE) & (given == truth[indices]),
        ways=np.array([one.way for one in found]),
    )


def fit_logistic(judged: JudgedFaces) -> tuple[float, Floats]:
    """Return the maximum likelihood intercept and weights (T,), with a small penalty.

    No weight is above 0: a worse measure never improves the quality.
    """

    def loss(parameters: Floats) -> tuple[float, Floats]:
        logits = parameters[0] + judged.values @ parameters[1:]
        off = 1 / (1 + np.exp(-logits)) - judged.right
        value = np.logaddexp(0, logits).sum() - logits[judged.right].sum()
        slopes = np.append(off.sum(), judged.values.T @ off + PENALTY * parameters[1:])
        return float(value + PENALTY / 2 * np.sum(parameters[1:] ** 2)), slopes

    count = judged.values.shape[1]
    bounds = [(None, None), *[(None, 0.0)] * count]
    found = minimize(loss, np.zeros(count + 1), jac=True, bounds=bounds, method="L-BFGS-B").x
    return float(found[0]), found[1:]


def overall(judged: JudgedFaces, fit: Fit) -> Floats:
    """Return the fit's probability of a right label for each face, (N,)."""
    rows = (dict(zip(judged.names, row.tolist(), strict=True)) for row in judged.values)
    return np.array([probability(row, fit) for row in rows])


def reliability(predicted: Floats, right: Flags) -> Iterator[tuple[int, float, float]]:
    """Yield the number of faces, mean prediction and accuracy of each non-empty bin."""
    bins = np.digitize(predicted, BINS)
    for number in np.unique(bins):
        chosen = bins == number
        yield int(chosen.sum()), float(predicted[chosen].mean()), float(right[chosen].mean())


def print_tables(judged: JudgedFaces, predicted: Floats) -> None:
    """Print reliability, accuracy over the share kept, and both by degradation."""
    rows = [*reliability(predicted, judged.right)]
    error = sum(faces * abs(mean - right) for faces, mean, right in rows) / len(judged)
    print(f"\n| faces | predicted | right |\n| --- | --- | --- |   (ECE {error:.1%})")
    for faces, mean, right in rows:
        print(f"| {faces:,} | {mean:.1%} | {right:.1%} |")
    print("\n| min_quality | kept | right of these |\n| --- | --- | --- |")
    for limit in LIMITS:
        kept = predicted >= limit
        print(f"| {limit:.2f} | {kept.mean():.1%} | {_share(judged.right[kept])} |")
    limit = Settings().min_quality
    print(f"\n| way | faces | right | kept at {limit:g} | right of these |\n|{' --- |' * 5}")
    for way in WAYS:
        mine = judged.ways == way
        kept = mine & (predicted >= limit)
        share = kept.sum() / max(mine.sum(), 1)
        shares = [_share(judged.right[chosen]) for chosen in (mine, kept)]
        print(f"| {way} | {mine.sum():,} | {shares[0]} | {share:.1%} | {shares[1]} |")


def _share(flags: Flags) -> str:
    return f"{flags.mean():.1%}" if len(flags) else "-"


def draw(judged: JudgedFaces, predicted: Floats, path: Path) -> None:
    """Draw the reliability diagram next to the curve of accuracy over the share kept."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    rows = [*reliability(predicted, judged.right)]
    left.plot([0, 1], [0, 1], color="#999999", linestyle="--")
    left.plot([mean for _, mean, _ in rows], [share for *_, share in rows], marker="o")
    left.set(xlabel="quality: predicted probability", ylabel="share of labels that are right")
    order = np.argsort(-predicted)
    kept = np.arange(1, len(order) + 1)
    curve = np.cumsum(judged.right[order]) / kept
    first = len(order) // 10  # a share of a few faces is meaningless
    right.plot(kept[first:] / len(order), curve[first:])
    limit = Settings().min_quality
    at = max(int((predicted >= limit).sum()), 1)
    right.plot([at / len(order)], [curve[at - 1]], marker="o", color="#d04a02")
    right.annotate(f"min_quality {limit:g}", (at / len(order), curve[at - 1]), (8, 8),
                   textcoords="offset points")  # fmt: skip
    right.set(xlabel="share of the faces kept", ylabel="share of these that is right", xlim=(0, 1))
    figure.savefig(path)


def fitted_to(judged: JudgedFaces, provenance: dict[str, str | int | float]) -> Fit:
    """Return the fit with its provenance."""
    intercept, weights = fit_logistic(judged)
    named = {
        name: round(weight, 4) for name, weight in zip(judged.names, weights.tolist(), strict=True)
    }
    return Fit(round(intercept, 4), named, {**provenance, "faces": len(judged)})


def write(fit: Fit, path: Path) -> None:
    """Write the fit as TOML, with its provenance."""
    tree = {"intercept": fit.intercept, "weights": fit.weights, "provenance": fit.provenance}
    head = "# Written by `python -m benchmarks.fit_quality`; models/quality.py reads it.\n\n"
    path.write_text(head + tomli_w.dumps(tree), "utf-8")


def _provenance(model: Classifier, chosen: Selection, seed: int) -> dict[str, str | int | float]:
    return {
        "command": f"python -m benchmarks.fit_quality --seed {seed}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "data": "FER2013 Training, held out; labels by protocol B of FER+",
        "classifier": model.name,
        "classifier_sha256": model.sha256,
        "detector": str(chosen),
    }


def main() -> None:
    """Fit, check, and write the results by the command line."""
    parser = argparse.ArgumentParser(description="Fit the quality of faces to degraded ones.")
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--model", default=Settings().model)
    parser.add_argument("--backend", choices=CHOICES, default="auto")
    parser.add_argument("--faces", type=int, default=9_000, help="to fit to (default %(default)s)")
    parser.add_argument("--checked", type=int, default=6_000, help="to check on (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FITTED)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    model, chosen = load(options.model), select(options.backend)
    detectors = [create(chosen, long_side=side) for side in LONG_SIDES]
    _, held_out = split_training(load_faces("Training", options.data))
    unseen = usable(load_faces("PublicTest", options.data))
    least = chosen.defaults.score
    judged = judge(held_out, options.faces, detectors, model, least, options.seed)
    fit = fitted_to(judged, _provenance(model, chosen, options.seed))
    write(fit, options.out)
    checked = judge(unseen, options.checked, detectors, model, least, options.seed + 1)
    predicted = overall(checked, fit)
    print(f"{options.out}: fitted to {len(judged):,} faces, checked on {len(checked):,}: {fit}")
    print_tables(checked, predicted)
    draw(checked, predicted, options.figure)


if __name__ == "__main__":
    main()
