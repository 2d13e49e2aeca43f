"""Calibration of a trained model on the held-out faces: python -m models.calibrate."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.optimize import minimize_scalar

from models import data, weights
from models.classifier import Classifier
from models.scores import Labels, Probabilities, negative_log_likelihood, score
from shared.errors import EmostreamError


def temperature(probabilities: Probabilities, labels: Labels) -> float:
    """Return the temperature that makes the labels most likely (Guo et al. 2017)."""

    def loss(logarithm: float) -> float:
        return negative_log_likelihood(cooled(probabilities, np.exp(logarithm)), labels)

    found = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded")
    return float(np.exp(found.x))


def cooled(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return the probabilities that the same logits give when divided by a temperature."""
    powers = np.maximum(probabilities, 1e-12) ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def fold(model: Any, temperature: float) -> None:
    """Divide the model's logits by the temperature, in its weights."""
    logits = model.get_layer("logits")
    logits.set_weights([weight / temperature for weight in logits.get_weights()])


def main(arguments: Sequence[str] | None = None) -> int:
    """Calibrate as the command line says, return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.calibrate", description=__doc__)
    parser.add_argument("trained", type=Path, help="average.keras of the last epoch")
    parser.add_argument("--out", type=Path, default=weights.FOLDER / "alexnet-fer.keras")
    parser.add_argument("--data", type=Path, default=data.FOLDER, help="folder (%(default)s)")
    chosen = parser.parse_args(arguments)
    try:
        _, held_out = data.hold_out(data.usable(data.read("Training", chosen.data)))
        model = keras.saving.load_model(weights.find(chosen.trained), compile=False)
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    labels = data.protocol_b(held_out.votes)
    before = Classifier(model, chosen.out.stem).predict(held_out.images)
    found = temperature(before, labels)
    fold(model, found)
    after = Classifier(model, chosen.out.stem).predict(held_out.images)
    for when, scores in (("before", score(before, labels)), ("after", score(after, labels))):
        print(f"{when}: accuracy {scores.accuracy:.2%}, NLL {scores.nll:.4f}, ECE {scores.ece:.4f}")
    model.save(chosen.out)
    print(f"temperature {found:.4f}; {chosen.out} {weights.write_checksum(chosen.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
