"""Calibrates a trained network and saves it for shipping: python -m emostream.models.calibrate."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from emostream.models import alexnet, ferplus, weights
from emostream.models.batches import draw_probabilities, label_shares, targets
from emostream.models.evaluation.scores import (
    Labels,
    Probabilities,
    negative_log_likelihood,
    score,
)
from emostream.models.ferplus import FerFaces
from emostream.models.labels import FER2013, LABELS
from emostream.models.prior import choose_reweighting
from emostream.models.spec import load_spec, spec_path
from emostream.models.spec_shares import write_shares
from emostream.models.train import Recipe
from emostream.shared.errors import EmostreamError, ExitCode

MODEL_NAMES: Final = {"ferplus": "alexnet-fer", "fer2013": "alexnet-fer2013"}
HEAD_LABELS: Final = {"ferplus": LABELS, "fer2013": FER2013}
Ratios: TypeAlias = NDArray[np.float64]


def fit_temperature(
    probabilities: Probabilities, labels: Labels, ratios: Ratios | None = None
) -> float:
    """Return the temperature with the maximum likelihood of the labels (Guo et al. 2017).

    After scaling, the probabilities are reweighted by the `ratios` (C,), if any.
    """

    def loss(logarithm: float) -> float:
        scaled = scale_temperature(probabilities, np.exp(logarithm), ratios)
        return negative_log_likelihood(scaled, labels)

    found = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded")
    return float(np.exp(found.x))


def scale_temperature(
    probabilities: Probabilities, temperature: float, ratios: Ratios | None = None
) -> Probabilities:
    """Return the probabilities for the same logits divided by a temperature.

    They are reweighted by the `ratios` (C,), if any.
    """
    powers = np.maximum(probabilities, 1e-12) ** (1 / temperature)
    return _normalized(powers if ratios is None else powers * ratios)


def fold_into_logits(net: Any, head: str, temperature: float) -> None:
    """Fold a division of the head's logits by the temperature into the weights."""
    logits = net.get_layer(f"logits_{head}")
    kernel, bias = logits.get_weights()
    logits.set_weights([kernel / temperature, bias / temperature])


def true_labels(head: str, faces: FerFaces) -> Labels:
    """Return the true labels for the head: protocol B, or FER2013's own label."""
    return ferplus.protocol_b(faces.votes) if head == "ferplus" else faces.fer2013.astype(np.intp)


def shares_of_labels(
    head: str, training: FerFaces, balance: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Return two maps of label shares: as drawn with this `balance`, and with each face once.

    For FER+, a face's label has the most votes, because the probabilities are calibrated for that.
    """
    votes = targets(training, "majority")[head]
    drawn = draw_probabilities(targets(training)["ferplus"], balance)
    once = np.full(len(training), 1 / len(training))
    labels = HEAD_LABELS[head]
    trained, natural = (
        dict(zip(labels, label_shares(votes, each).tolist(), strict=True)) for each in (drawn, once)
    )
    return trained, natural


def report_calibration(head: str, net: Any, held_out: FerFaces, ratios: Ratios) -> float:
    """Print the calibration of the head, return the temperature to divide by.

    The probabilities are reweighted by the `ratios`, as when the model is used.
    """
    labels = true_labels(head, held_out)
    before = predict(net, held_out)
    found = fit_temperature(before, labels, ratios)
    for when, temperature in (("before", 1.0), ("after", found)):
        given = scale_temperature(before, temperature, ratios)
        scores = score(given, labels, HEAD_LABELS[head])
        print(f"{head}, {when}: accuracy {scores.accuracy:.2%}, NLL {scores.nll:.4f}, ", end="")
        print(f"ECE {scores.ece:.4f}")
    print(f"{head}: temperature {found:.4f}")
    return found


def predict(net: Any, faces: FerFaces) -> Probabilities:
    """Return the network's probabilities, float32 (N, C)."""
    return np.asarray(net.predict(faces.images, batch_size=256, verbose=0), np.float32)


def write_calibrated(net: Any, head: str, faces: FerFaces, chosen: argparse.Namespace) -> None:
    """Calibrate one head on held-out faces, and write it as a separate model with its TOML.

    It is calibrated for its default prior, from its TOML.
    """
    training, held_out = ferplus.split_training(faces)
    trained, natural = shares_of_labels(head, training, chosen.balance)
    missing = [label for label, share in natural.items() if not share]
    path = chosen.out / f"{MODEL_NAMES[head]}.keras"
    if not spec_path(path).exists():
        shutil.copyfile(spec_path(weights.FOLDER / path.name), spec_path(path))
    if missing:
        print(f"{head}: no shares in the TOML, since no face is {', '.join(missing)}")
    else:
        write_shares(spec_path(path), trained, natural)
    reweighting = choose_reweighting(load_spec(spec_path(path)), path.stem)
    ratios = reweighting.factors if reweighting else np.ones(len(natural))
    fold_into_logits(net, head, report_calibration(head, net, held_out, ratios))
    weights.save(net, path)
    print(f"{path}: {weights.sha256(path)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m emostream.models.calibrate", description=__doc__
    )
    parser.add_argument("trained", type=Path, help="average.keras of the last epoch")
    parser.add_argument("--out", type=Path, default=weights.FOLDER, help="folder (%(default)s)")
    parser.add_argument("--data", type=Path, default=ferplus.FOLDER, help="folder (%(default)s)")
    parser.add_argument(
        "--heads", nargs="*", choices=tuple(MODEL_NAMES), default=tuple(MODEL_NAMES)
    )
    parser.add_argument(
        "--balance",
        type=float,
        default=Recipe.balance,
        metavar="POWER",
        help="with which it was trained (%(default)s); its TOML states the shares that this drew",
    )
    chosen = parser.parse_args(arguments)
    try:
        faces = ferplus.load_faces("Training", chosen.data)
        net = keras.saving.load_model(weights.find(chosen.trained), compile=False)
        chosen.out.mkdir(parents=True, exist_ok=True)
        for head in chosen.heads:
            write_calibrated(alexnet.single_head(net, head), head, faces, chosen)
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return ExitCode.OK


def _normalized(powers: NDArray[Any]) -> Probabilities:
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


if __name__ == "__main__":
    sys.exit(main())
