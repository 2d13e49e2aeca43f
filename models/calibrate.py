"""Calibrates a trained net and saves it for shipping: python -m emostream.models.calibrate."""

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from emostream.models import alexnet, ferplus, weights
from emostream.models.evaluation.scores import (
    Labels,
    Probabilities,
    Scores,
    negative_log_likelihood,
    score,
)
from emostream.models.ferplus import FerFaces
from emostream.models.labels import FER2013, LABELS
from emostream.models.spec import spec_path
from emostream.shared.errors import EmostreamError, ExitCode

MODEL_NAMES: Final = {"ferplus": "alexnet-fer", "fer2013": "alexnet-fer2013"}
HEAD_LABELS: Final = {"ferplus": LABELS, "fer2013": FER2013}
STRENGTHS: Final = (0.0, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def fit_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """Return the temperature that makes the labels most likely (Guo et al. 2017)."""

    def loss(logarithm: float) -> float:
        return negative_log_likelihood(scale_temperature(probabilities, np.exp(logarithm)), labels)

    found = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded")
    return float(np.exp(found.x))


def scale_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return the probabilities that the same logits give when divided by a temperature."""
    return _normalized(np.maximum(probabilities, 1e-12) ** (1 / temperature))


def adjust_logits(
    probabilities: Probabilities, shares: NDArray[Any], strength: float
) -> Probabilities:
    """Return the probabilities after adjusting the logits by the labels' shares (N of them).

    `strength` x log(share) is taken from each logit (Menon et al. 2021): at 0 nothing changes, at
    1 all labels are treated as if they were equally frequent.
    """
    return _normalized(probabilities / shares**strength)


def fold_into_logits(
    net: Any, head: str, temperature: float, shift: NDArray[Any] | float = 0.0
) -> None:
    """Divide the head's logits by the temperature and subtract `shift`, in the net's weights."""
    logits = net.get_layer(f"logits_{head}")
    kernel, bias = logits.get_weights()
    logits.set_weights([kernel / temperature, bias / temperature - shift])


def label_frequencies(labels: Labels, classes: int) -> NDArray[np.float64]:
    """Return how often each label occurs; -1 is left out."""
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    return np.asarray(counts / counts.sum())


def true_labels(head: str, faces: FerFaces) -> Labels:
    """Return what the head should say: protocol B, or FER2013's own label."""
    return ferplus.protocol_b(faces.votes) if head == "ferplus" else faces.fer2013.astype(np.intp)


def adjustment_scores(
    probabilities: Probabilities, faces: FerFaces, priors: NDArray[Any]
) -> Iterator[tuple[float, Scores, Scores]]:
    """Give each strength of the adjustment with the scores under protocols A and B."""
    for strength in STRENGTHS:
        given = adjust_logits(probabilities, priors, strength)
        yield (
            strength,
            score(given, ferplus.protocol_a(faces.votes)),
            score(given, ferplus.protocol_b(faces.votes)),
        )


def report_calibration(head: str, net: Any, held_out: FerFaces) -> float:
    """Print how well the head is calibrated, return the temperature to divide by."""
    labels = true_labels(head, held_out)
    before = predict(net, held_out)
    found = fit_temperature(before, labels)
    for when, given in (("before", before), ("after", scale_temperature(before, found))):
        scores = score(given, labels, HEAD_LABELS[head])
        print(f"{head}, {when}: accuracy {scores.accuracy:.2%}, NLL {scores.nll:.4f}, ", end="")
        print(f"ECE {scores.ece:.4f}")
    print(f"{head}: temperature {found:.4f}")
    return found


def predict(net: Any, faces: FerFaces) -> Probabilities:
    """Return the net's probabilities, float32 (N, C)."""
    return np.asarray(net.predict(faces.images, batch_size=256, verbose=0), np.float32)


def write_calibrated(net: Any, head: str, faces: FerFaces, chosen: argparse.Namespace) -> None:
    """Calibrate one head on held-out faces, adjust it, and write it as a model of its own."""
    training, held_out = ferplus.split_training(faces)
    fold_into_logits(net, head, report_calibration(head, net, held_out))
    priors = label_frequencies(true_labels(head, training), len(HEAD_LABELS[head]))
    if head == "ferplus":
        test = ferplus.load_faces("PublicTest", chosen.data)
        print("strength  A: accuracy, macro recall, ECE   B: accuracy, macro recall, ECE")
        for strength, a, b in adjustment_scores(predict(net, test), test, priors):
            columns = (f"{s.accuracy:.2%} {s.macro_recall:.2%} {s.ece:.2%}" for s in (a, b))
            print(f"{strength:8.2f}  {'   '.join(columns)}")
        fold_into_logits(net, head, 1.0, chosen.adjust * np.log(priors))
    path = chosen.out / f"{MODEL_NAMES[head]}.keras"
    weights.save(net, path)
    if not spec_path(path).exists():
        shutil.copyfile(spec_path(weights.FOLDER / path.name), spec_path(path))
    print(f"{path}: {weights.sha256(path)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Calibrate as the command line says, return the exit status."""
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
        "--adjust", type=float, default=0.0, help="strength of the adjustment for rare labels"
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
