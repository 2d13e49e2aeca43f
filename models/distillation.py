"""Soft targets from teachers: the probabilities that trained networks predict."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from scipy.special import softmax

from emostream.models.answer_files import SUFFIX, load_answers
from emostream.models.augment import Targets
from emostream.models.checkpoint import load_net
from emostream.models.ferplus import Floats
from emostream.models.labels import HEADS
from emostream.shared.errors import WeightsError
from emostream.shared.pixels import Image
from emostream.shared.progress import ProgressBar

BATCH: Final = 256


def teacher_targets(paths: Sequence[Path], images: Image, temperature: float = 1.0) -> Targets:
    """Return the teachers' soft targets for faces uint8 (N, S, S): by head, float32 (N, classes).

    A `temperature` above 1 makes them softer (Hinton et al. 2015). A head that no teacher has is
    left out. Raises WeightsError for a file that is not a teacher.
    """
    answers = mean_answers(paths, images)
    return {head: softmax(rows / temperature, axis=1) for head, rows in answers.items()}


def mean_answers(paths: Sequence[Path], images: Image) -> Targets:
    """Return the teachers' mean log probabilities for faces: by head, float32 (N, classes).

    The mean covers the teachers, and for each teacher a face and its mirror image, because an
    ensemble is right more often than each of its networks. A teacher is a saved network, or an .npz
    file of stored answers, which counts as one.
    """
    sums: dict[str, list[Floats]] = {}
    for path in paths:
        if path.suffix == SUFFIX:
            answers = load_answers(path, images)
        else:
            answers = _mean_log_probabilities(load_teacher(path), images, f"teacher {path}")
        for head, rows in answers.items():
            sums.setdefault(head, []).append(rows)
    return {head: np.mean(rows, axis=0) for head, rows in sums.items()}


def blend_targets(targets: Targets, soft: Targets, share: float) -> Targets:
    """Return targets blended with the teachers' by a share; rows of zeros stay zeros."""
    return {
        head: rows * (1 - share) + soft[head] * rows.sum(axis=1, keepdims=True) * share
        if head in soft
        else rows
        for head, rows in targets.items()
    }


def load_teacher(path: Path) -> Any:
    """Load a teacher, a network with one or both heads; WeightsError if it is not one."""
    net = load_net(path)
    if not _by_head(net.output):
        raise WeightsError(f"{path} has none of the heads {', '.join(HEADS)}")
    return net


def _by_head(outputs: Any) -> dict[str, Any]:
    """Return outputs by head; a single output is assigned by its number of classes."""
    if isinstance(outputs, dict):
        return {head: outputs[head] for head in HEADS if head in outputs}
    return {head: outputs for head, classes in HEADS.items() if outputs.shape[-1] == classes}


def _mean_log_probabilities(net: Any, images: Image, title: str) -> Targets:
    """Return the mean log probabilities over each face and its mirror image, by head."""
    parts: dict[str, list[Any]] = {}
    with ProgressBar(title, len(images), "faces") as bar:
        for start in range(0, len(images), BATCH):
            faces = images[start : start + BATCH]
            sides = (faces, faces[:, :, ::-1].copy())
            plain, mirrored = (net(side, training=False) for side in sides)
            for head, given in _by_head(plain).items():
                both = keras.ops.log(given + 1e-7) + keras.ops.log(_by_head(mirrored)[head] + 1e-7)
                parts.setdefault(head, []).append(keras.ops.convert_to_numpy(both) / 2)
            bar.update(start + len(faces))
    return {head: np.concatenate(rows) for head, rows in parts.items()}
