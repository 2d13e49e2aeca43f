"""Scores detection and tracking on a video with ground truth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.models.evaluation.scenes import Floats
from emostream.models.evaluation.video_scenes import FPS, TrueFaces

Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class FoundFaces:
    """The detections in one frame: `tracks` (M,) and `boxes` (M, 4) of x, y, width, height.

    `labels` are the emotions of the faces.
    """

    tracks: NDArray[np.int64]
    boxes: Floats
    labels: tuple[str, ...]


@dataclass
class VideoScores:
    """Counts over the frames of a video; a person is one of the true faces.

    `faces` counts the faces to find (one per person per frame), and `found` those that were found.
    `false_boxes` are on no face, or on a face that already has a box. `switches` counts changes of
    a person's track, `delays` are the frames from a person's first frame to the first box, and
    `missed` counts people who never got a box. `named` has, for each found face, its index in the
    dataset and its label in that frame.
    """

    frames: int = 0
    faces: int = 0
    found: int = 0
    false_boxes: int = 0
    people: int = 0
    switches: int = 0
    missed: int = 0
    delays: list[int] = field(default_factory=list)
    named: list[tuple[int, str]] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """The share of faces that were found."""
        return self.found / max(self.faces, 1)

    @property
    def false_per_100(self) -> float:
        """False boxes per hundred frames."""
        return 100 * self.false_boxes / max(self.frames, 1)


def score_video(frames: Iterable[tuple[TrueFaces, FoundFaces]]) -> VideoScores:
    """Compare each frame's true faces with the detections.

    A face is found if a box's center is inside its square. A face that is mostly covered or outside
    the frame need not be found, but finding it is not an error.
    """
    scores = VideoScores()
    first: dict[int, int] = {}
    last_track: dict[int, int] = {}
    for number, (truth, found) in enumerate(frames):
        scores.frames += 1
        scores.faces += int(truth.counts.sum())
        pairs = match_centers(found.boxes, truth.squares)
        scores.false_boxes += len(found.boxes) - len(pairs)
        for person in truth.people[truth.counts].tolist():
            first.setdefault(person, number)
        for box, face in pairs:
            if not truth.counts[face]:
                continue
            scores.found += 1
            scores.named.append((int(truth.indices[face]), found.labels[box]))
            person, track = int(truth.people[face]), int(found.tracks[box])
            if person not in last_track:
                scores.delays.append(number - first[person])
            scores.switches += last_track.get(person, track) != track
            last_track[person] = track
    scores.people = len(first)
    scores.missed = len(first) - len(last_track)
    return scores


def match_centers(boxes: Floats, squares: Floats) -> list[Pair]:
    """Match boxes (M, 4) with the faces (N, 4) that contain their centers: (box, face).

    Each is matched at most once, the closest centers first (in sides of the face).
    """
    if not len(boxes) or not len(squares):
        return []
    offsets = (boxes[:, None, :2] + boxes[:, None, 2:] / 2) - squares[None, :, :2]
    shares = offsets / squares[None, :, 2:]
    inside = ((shares >= 0) & (shares <= 1)).all(axis=2)
    distance = np.where(inside, np.abs(shares - 0.5).max(axis=2), np.inf)
    pairs: list[Pair] = []
    for place in np.argsort(distance, axis=None, kind="stable"):
        box, face = (int(i) for i in np.unravel_index(place, distance.shape))
        if not np.isfinite(distance[box, face]):
            break
        if all(box != b and face != f for b, f in pairs):
            pairs.append((box, face))
    return pairs


@dataclass(frozen=True)
class VideoReport:
    """The figures for one kind of video, through the pipeline with default settings.

    `recall` is over `faces` (one per person per frame); `delay_ms` is the median time from a
    person's first frame to the first box, `late_ms` the 90th percentile. `bare` is the accuracy on
    bare crops of the found faces, `right` that of the labels of single frames; None if none were
    found.
    """

    name: str
    frames: int
    faces: int
    recall: float
    false_per_100: float
    people: int
    missed: int
    switches: int
    delay_ms: float | None
    late_ms: float | None
    bare: float | None
    right: float | None


def summarize(
    name: str, scores: VideoScores, true_labels: Sequence[str], bare_labels: Sequence[str]
) -> VideoReport:
    """Summarize a video; the labels are those of the dataset's faces."""
    delays = [1000 * delay / FPS for delay in scores.delays]
    median, late = (float(q) for q in np.percentile(delays, (50, 90))) if delays else (None, None)
    shown = [(true_labels[index], bare_labels[index], label) for index, label in scores.named]
    return VideoReport(
        name=name,
        frames=scores.frames,
        faces=scores.faces,
        recall=scores.recall,
        false_per_100=scores.false_per_100,
        people=scores.people,
        missed=scores.missed,
        switches=scores.switches,
        delay_ms=median,
        late_ms=late,
        bare=float(np.mean([true == bare for true, bare, _ in shown])) if shown else None,
        right=float(np.mean([true == label for true, _, label in shown])) if shown else None,
    )
