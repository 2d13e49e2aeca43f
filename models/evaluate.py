"""Evaluation of a model on FER+: python -m models.evaluate."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from models import data
from models.classifier import Classifier, load
from models.labels import LABELS
from models.scores import Scores, score
from shared.errors import EmostreamError

PROTOCOLS: Final = {"A": data.protocol_a, "B": data.protocol_b}


def evaluate(classifier: Classifier, faces: data.Faces) -> dict[str, Scores]:
    """Score a classifier on faces under both protocols."""
    probabilities = classifier.predict(faces.images)
    return {name: score(probabilities, label(faces.votes)) for name, label in PROTOCOLS.items()}


def enlarged(faces: data.Faces, side: int) -> data.Faces:
    """Return the faces resampled to another size, as the pipeline's crops are."""
    images = [
        cv2.resize(face, (side, side), interpolation=cv2.INTER_LINEAR) for face in faces.images
    ]
    return data.Faces(np.stack(images).astype(np.uint8), faces.votes)


def table(name: str, scores: Scores) -> str:
    """Return the figures of one protocol as text."""
    low, high = scores.interval
    lines = [
        f"Protocol {name}, {scores.faces} faces",
        f"  accuracy {scores.accuracy:.2%} (95% interval {low:.2%} to {high:.2%})",
        f"  macro recall {scores.macro_recall:.2%}, NLL {scores.nll:.4f}, ECE {scores.ece:.4f}",
        "",
        f"  {'true, given:':<14}{''.join(f'{label:>10}' for label in LABELS)}   recall",
    ]
    for label, counts in zip(LABELS, scores.confusion, strict=True):
        cells = "".join(f"{count:>10}" for count in counts)
        lines.append(f"  {label:<14}{cells}  {scores.recall[label]:>7.1%}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate as the command line says, return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.evaluate", description=__doc__)
    parser.add_argument("--model", default="alexnet-fer", help="a name or a .keras file")
    parser.add_argument("--data", type=Path, default=data.FOLDER, help="folder (%(default)s)")
    parser.add_argument("--split", choices=data.SPLITS, default="PublicTest")
    parser.add_argument(
        "--unseen", action="store_true", help="leave out faces that are also among Training's"
    )
    parser.add_argument("--side", type=int, help="resample the faces to this size first, e.g. 64")
    parser.add_argument("--threads", type=int, help="of TensorFlow")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    chosen = parser.parse_args(arguments)
    try:
        faces = data.read(chosen.split, chosen.data)
        if chosen.unseen:
            faces = faces[~data.copies(faces, data.read("Training", chosen.data))]
        if chosen.side:
            faces = enlarged(faces, chosen.side)
        results = evaluate(load(chosen.model, chosen.threads), faces)
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if chosen.json:
        print(json.dumps({name: asdict(scores) for name, scores in results.items()}, indent=2))
    else:
        print("\n\n".join(table(name, scores) for name, scores in results.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
