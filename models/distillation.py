"""Soft targets from teachers: the probabilities that trained nets give the faces."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from scipy.special import softmax

from emostream.models.alexnet import HEADS
from emostream.models.augment import Targets
from emostream.models.checkpoint import load_net
from emostream.models.ferplus import Floats
from emostream.shared.errors import WeightsError
from emostream.shared.pixels import Image
from emostream.shared.progress import ProgressBar

BATCH: Final = 256


def teacher_targets(paths: Sequence[Path], images: Image) -> Targets:
    """Return the teachers' soft targets for faces uint8 (N, S, S): by head, float32 (N, classes).

    That is the geometric mean over the teachers and, for each, over a face and its mirror image:
    several nets together are right more often than each of them (Hinton et al. 2015). A head that
    no teacher has is left out. WeightsError for a file that is no such net.
    """
    sums: dict[str, list[Floats]] = {}
    for path in paths:
        teacher = load_teacher(path)
        for head, rows in _mean_log_probabilities(teacher, images, f"teacher {path}").items():
            sums.setdefault(head, []).append(rows)
    return {head: softmax(np.mean(rows, axis=0), axis=1) for head, rows in sums.items()}


def blend_targets(targets: Targets, soft: Targets, share: float) -> Targets:
    """Return targets with a share of each row from the teachers; rows of zeros stay zeros."""
    return {
        head: rows * (1 - share) + soft[head] * rows.sum(axis=1, keepdims=True) * share
        if head in soft
        else rows
        for head, rows in targets.items()
    }


def load_teacher(path: Path) -> Any:
    """Load a teacher: a net with one or both of the heads. WeightsError where it is none."""
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
    """Return the mean logarithm over each face and its mirror image, by head."""
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
