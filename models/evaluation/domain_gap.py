"""The domain gap: accuracy on bare crops compared with faces detected and aligned in scenes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emostream.models.evaluation.datasets import Dataset
from emostream.models.evaluation.evaluator import Predictor, predict_all
from emostream.models.evaluation.scores import Interval, accuracy_loss_interval, wilson_interval

Floats = NDArray[np.float64]
MAX_DISTANCE = 1 / 3  # between the centers of box and face, in sides of the face


@dataclass(frozen=True)
class DetectedFaces:
    """The faces that a detector found in scenes with `drawn` faces.

    `indices` (N,) are the dataset's faces that were found; `aligned` and `boxed` are their crops,
    uint8 (N, S, S), by landmarks and by box only. `invented` counts false detections,
    `milliseconds` is the detector's mean time per scene. `qualities` (N,) are the `overall` quality
    values.
    """

    scenes: int
    drawn: int
    invented: int
    milliseconds: float
    indices: NDArray[np.intp]
    aligned: NDArray[np.uint8]
    boxed: NDArray[np.uint8]
    qualities: Floats


@dataclass(frozen=True)
class Proportion:
    """A share of `faces`, with its 95% interval."""

    share: float
    faces: int
    interval: Interval


@dataclass(frozen=True)
class DomainGap:
    """Accuracy on the same faces as bare crops and through the pipeline, and the loss.

    `lost` has the 95% interval of a paired bootstrap; `boxed` uses crops by box only. All four are
    None if no face was found. `kept` is the share of the found faces with sufficient quality;
    `kept_bare` and `kept_aligned` are the accuracies on these, None if there are none.
    """

    name: str
    scenes: int
    invented: int
    milliseconds: float
    recall: Proportion
    bare: Proportion | None = None
    aligned: Proportion | None = None
    boxed: Proportion | None = None
    lost: float | None = None
    lost_interval: Interval | None = None
    kept: Proportion | None = None
    kept_bare: Proportion | None = None
    kept_aligned: Proportion | None = None

    @property
    def kept_lost(self) -> float | None:
        """The accuracy lost on the kept faces between bare crop and pipeline."""
        if self.kept_bare is None or self.kept_aligned is None:
            return None
        return self.kept_bare.share - self.kept_aligned.share


def match_boxes(boxes: Floats, faces: Floats) -> list[tuple[int, int]]:
    """Match boxes (M, 4) with faces (N, 4), rows of x, y, w, h: (box, face), each at most once.

    They match if their centers are within a third of the face's side in x and y; the closest pairs
    are matched first.
    """
    distances = center_distances(boxes, faces)
    pairs: list[tuple[int, int]] = []
    for place in np.argsort(distances, axis=None, kind="stable"):
        box, face = (int(i) for i in np.unravel_index(place, distances.shape))
        if distances[box, face] > MAX_DISTANCE:
            break
        if all(box != b and face != f for b, f in pairs):
            pairs.append((box, face))
    return pairs


def center_distances(boxes: Floats, faces: Floats) -> Floats:
    """Return the distances between the centers of boxes (M, 4) and faces (N, 4), (M, N).

    The distance is the larger of x and y, in units of the face's side.
    """
    box_centers = boxes[:, :2] + boxes[:, 2:] / 2
    face_centers = faces[:, :2] + faces[:, 2:] / 2
    apart = np.abs(box_centers[:, None] - face_centers[None]).max(axis=2)
    return np.asarray(apart / faces[None, :, 2])


def measure_gap(
    name: str,
    model: Predictor,
    dataset: Dataset,
    found: DetectedFaces,
    min_quality: float = 0.0,
) -> DomainGap:
    """Evaluate a model on the detected faces; every drawn face must have a true label.

    Faces with a quality of at least `min_quality` (0..1) are kept.
    """
    recall = proportion(len(found.indices), found.drawn)
    gap = DomainGap(name, found.scenes, found.invented, found.milliseconds, recall)
    if not len(found.indices):
        return gap
    bare = dataset.subset(found.indices)
    truth = bare.truths[bare.protocol]
    before, after, boxed = (
        predict_all(model, images).argmax(axis=1) == truth
        for images in (bare.images, found.aligned, found.boxed)
    )
    kept = found.qualities >= min_quality
    count = int(kept.sum())
    return replace(
        gap,
        bare=proportion(int(before.sum()), len(before)),
        aligned=proportion(int(after.sum()), len(after)),
        boxed=proportion(int(boxed.sum()), len(boxed)),
        lost=float(before.mean() - after.mean()),
        lost_interval=accuracy_loss_interval(before, after),
        kept=proportion(count, len(kept)),
        kept_bare=proportion(int(before[kept].sum()), count) if count else None,
        kept_aligned=proportion(int(after[kept].sum()), count) if count else None,
    )


def proportion(part: int, faces: int) -> Proportion:
    """Return a share of at least one face."""
    return Proportion(part / faces, faces, wilson_interval(part, faces))
