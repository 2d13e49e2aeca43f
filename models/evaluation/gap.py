"""What the way through the pipeline costs: accuracy on found, aligned faces and on bare ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emostream.models.evaluation.datasets import Dataset
from emostream.models.evaluation.judge import Predictor, predict
from emostream.models.evaluation.scores import Interval, gap, wilson

Floats = NDArray[np.float64]
NEAR = 1 / 3  # of the face's side: how far the middle of its box may lie from its own


@dataclass(frozen=True)
class Found:
    """What a detector made of scenes with `drawn` faces.

    `indices` (N,) says which of the dataset's faces were found; `aligned` and `boxed` are their
    crops, uint8 (N, S, S), by the landmarks and by the box alone. `invented` counts boxes that lie
    on no face, `milliseconds` are those of the detector, a scene in the mean.
    """

    scenes: int
    drawn: int
    invented: int
    milliseconds: float
    indices: NDArray[np.intp]
    aligned: NDArray[np.uint8]
    boxed: NDArray[np.uint8]


@dataclass(frozen=True)
class Share:
    """A share of `faces`, with its 95% interval."""

    share: float
    faces: int
    interval: Interval


@dataclass(frozen=True)
class Gap:
    """Accuracy on the same faces as bare crops, through the pipeline, and what is lost between.

    `lost` has the 95% interval of a paired bootstrap; `boxed` are crops by the box alone. All four
    are None where no face was found.
    """

    name: str
    scenes: int
    invented: int
    milliseconds: float
    recall: Share
    bare: Share | None = None
    aligned: Share | None = None
    boxed: Share | None = None
    lost: float | None = None
    lost_interval: Interval | None = None


def matches(boxes: Floats, faces: Floats) -> list[tuple[int, int]]:
    """Pair boxes (M, 4) with faces (N, 4), rows of x, y, w, h: (box, face), each once at most.

    They belong together where their middles are within a third of the face's side, across and
    down; the closest go first.
    """
    off = distances(boxes, faces)
    pairs: list[tuple[int, int]] = []
    for place in np.argsort(off, axis=None, kind="stable"):
        box, face = (int(i) for i in np.unravel_index(place, off.shape))
        if off[box, face] > NEAR:
            break
        if all(box != b and face != f for b, f in pairs):
            pairs.append((box, face))
    return pairs


def distances(boxes: Floats, faces: Floats) -> Floats:
    """Return how far the middles of boxes (M, 4) and faces (N, 4) lie apart, (M, N).

    The larger of across and down counts, in sides of the face.
    """
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    wanted = faces[:, :2] + faces[:, 2:] / 2
    off = np.abs(middles[:, None] - wanted[None]).max(axis=2)
    return np.asarray(off / faces[None, :, 2])


def measure(name: str, model: Predictor, dataset: Dataset, found: Found) -> Gap:
    """Judge a model on the faces that were found; every drawn face must have a true label."""
    recall = share(len(found.indices), found.drawn)
    plain = Gap(name, found.scenes, found.invented, found.milliseconds, recall)
    if not len(found.indices):
        return plain
    bare = dataset.chosen(found.indices)
    truth = bare.truths[bare.protocol]
    before, after, boxed = (
        predict(model, images).argmax(axis=1) == truth
        for images in (bare.images, found.aligned, found.boxed)
    )
    return Gap(
        name,
        found.scenes,
        found.invented,
        found.milliseconds,
        recall,
        bare=share(int(before.sum()), len(before)),
        aligned=share(int(after.sum()), len(after)),
        boxed=share(int(boxed.sum()), len(boxed)),
        lost=float(before.mean() - after.mean()),
        lost_interval=gap(before, after),
    )


def share(part: int, faces: int) -> Share:
    """Return a share of at least one face."""
    return Share(part / faces, faces, wilson(part, faces))
