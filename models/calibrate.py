"""From a trained net to the models that are shipped: python -m emostream.models.calibrate."""

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

from emostream.models import alexnet, data, spec, weights
from emostream.models.data import Faces
from emostream.models.evaluation.scores import (
    Labels,
    Probabilities,
    Scores,
    negative_log_likelihood,
    score,
)
from emostream.models.labels import FER2013, LABELS
from emostream.shared.errors import EmostreamError

SHIPPED: Final = {"ferplus": "alexnet-fer", "fer2013": "alexnet-fer2013"}
NAMES: Final = {"ferplus": LABELS, "fer2013": FER2013}
STRENGTHS: Final = (0.0, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def temperature(probabilities: Probabilities, labels: Labels) -> float:
    """Return the temperature that makes the labels most likely (Guo et al. 2017)."""

    def loss(logarithm: float) -> float:
        return negative_log_likelihood(cooled(probabilities, np.exp(logarithm)), labels)

    found = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded")
    return float(np.exp(found.x))


def cooled(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return the probabilities that the same logits give when divided by a temperature."""
    return _normalised(np.maximum(probabilities, 1e-12) ** (1 / temperature))


def adjusted(probabilities: Probabilities, shares: NDArray[Any], strength: float) -> Probabilities:
    """Return the probabilities after adjusting the logits by the labels' shares (N of them).

    `strength` x log(share) is taken from each logit (Menon et al. 2021): at 0 nothing changes, at
    1 all labels are treated as if they were equally frequent.
    """
    return _normalised(probabilities / shares**strength)


def fold(net: Any, head: str, temperature: float, shift: NDArray[Any] | float = 0.0) -> None:
    """Divide the head's logits by the temperature and subtract `shift`, in the net's weights."""
    logits = net.get_layer(f"logits_{head}")
    kernel, bias = logits.get_weights()
    logits.set_weights([kernel / temperature, bias / temperature - shift])


def shares(labels: Labels, classes: int) -> NDArray[np.float64]:
    """Return how often each label occurs; -1 is left out."""
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    return np.asarray(counts / counts.sum())


def true_labels(head: str, faces: Faces) -> Labels:
    """Return what the head should say: protocol B, or FER2013's own label."""
    return data.protocol_b(faces.votes) if head == "ferplus" else faces.fer2013.astype(np.intp)


def tuning(
    probabilities: Probabilities, faces: Faces, priors: NDArray[Any]
) -> Iterator[tuple[float, Scores, Scores]]:
    """Give each strength of the adjustment with the scores under protocols A and B."""
    for strength in STRENGTHS:
        given = adjusted(probabilities, priors, strength)
        yield (
            strength,
            score(given, data.protocol_a(faces.votes)),
            score(given, data.protocol_b(faces.votes)),
        )


def report(head: str, net: Any, held_out: Faces) -> float:
    """Print how well the head is calibrated, return the temperature that mends it."""
    labels = true_labels(head, held_out)
    before = predict(net, held_out)
    found = temperature(before, labels)
    for when, given in (("before", before), ("after", cooled(before, found))):
        scores = score(given, labels, NAMES[head])
        print(f"{head}, {when}: accuracy {scores.accuracy:.2%}, NLL {scores.nll:.4f}, ", end="")
        print(f"ECE {scores.ece:.4f}")
    print(f"{head}: temperature {found:.4f}")
    return found


def predict(net: Any, faces: Faces) -> Probabilities:
    """Return the net's probabilities, float32 (N, C)."""
    return np.asarray(net.predict(faces.images, batch_size=256, verbose=0), np.float32)


def ship(net: Any, head: str, faces: Faces, chosen: argparse.Namespace) -> None:
    """Calibrate one head on held-out faces, adjust it, and write it as a model of its own."""
    learn, held_out = data.split(faces)
    fold(net, head, report(head, net, held_out))
    priors = shares(true_labels(head, learn), len(NAMES[head]))
    if head == "ferplus":
        test = data.read("PublicTest", chosen.data)
        print("strength  A: accuracy, macro recall, ECE   B: accuracy, macro recall, ECE")
        for strength, a, b in tuning(predict(net, test), test, priors):
            columns = (f"{s.accuracy:.2%} {s.macro_recall:.2%} {s.ece:.2%}" for s in (a, b))
            print(f"{strength:8.2f}  {'   '.join(columns)}")
        fold(net, head, 1.0, chosen.adjust * np.log(priors))
    path = chosen.out / f"{SHIPPED[head]}.keras"
    weights.save(net, path)
    if not spec.beside(path).exists():
        shutil.copyfile(spec.beside(weights.FOLDER / path.name), spec.beside(path))
    print(f"{path}: {weights.sha256(path)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Calibrate as the command line says, return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m emostream.models.calibrate", description=__doc__
    )
    parser.add_argument("trained", type=Path, help="average.keras of the last epoch")
    parser.add_argument("--out", type=Path, default=weights.FOLDER, help="folder (%(default)s)")
    parser.add_argument("--data", type=Path, default=data.FOLDER, help="folder (%(default)s)")
    parser.add_argument("--heads", nargs="*", choices=tuple(SHIPPED), default=tuple(SHIPPED))
    parser.add_argument(
        "--adjust", type=float, default=0.0, help="strength of the adjustment for rare labels"
    )
    chosen = parser.parse_args(arguments)
    try:
        faces = data.read("Training", chosen.data)
        net = keras.saving.load_model(weights.find(chosen.trained), compile=False)
        chosen.out.mkdir(parents=True, exist_ok=True)
        for head in chosen.heads:
            ship(alexnet.single(net, head), head, faces, chosen)
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _normalised(powers: NDArray[Any]) -> Probabilities:
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


if __name__ == "__main__":
    sys.exit(main())
