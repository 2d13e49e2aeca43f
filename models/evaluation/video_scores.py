"""How well the faces of a video with ground truth were found and followed."""

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
    """What was found in one frame: `tracks` (M,) and `boxes` (M, 4) of x, y, width, height.

    `labels` say what each face shows.
    """

    tracks: NDArray[np.int64]
    boxes: Floats
    labels: tuple[str, ...]


@dataclass
class VideoScores:
    """Counts over the frames of a video; a person is one of the true faces.

    `faces` is how many there were to find, a person a frame, and `found` how many were.
    `false_boxes` show no face, or one that has a box already. `switches` counts how often the
    track of a person became another one, `delays` are the frames from a person's first one to the
    first box, and `missed` the people who never got one. `named` holds, for each face found, which
    of the dataset's faces it is and its label in that frame.
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
        """The share of the faces that were found."""
        return self.found / max(self.faces, 1)

    @property
    def false_per_100(self) -> float:
        """Boxes on no face, in a hundred frames."""
        return 100 * self.false_boxes / max(self.frames, 1)


def score_video(frames: Iterable[tuple[TrueFaces, FoundFaces]]) -> VideoScores:
    """Compare each frame's true faces with what was found.

    A face is found where a box's center lies inside its square. What most of is covered or out of
    the frame need not be found, and is no false box where it is.
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
    """Pair boxes (M, 4) with the faces (N, 4) that their centers lie inside: (box, face).

    Each is paired once at most; the pair whose centers lie closest, in sides of the face, first.
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
    """The figures of one kind of video, through the pipeline as it ships.

    `recall` is over `faces`, a person a frame; `delay_ms` is the median time from a person's first
    frame to the first box, `late_ms` the one that one in ten exceeds. `bare` is the accuracy on the
    faces found as bare crops, `right` that of the labels of single frames; None if none were.
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
    """Sum up a video; the labels are those of each of the dataset's faces."""
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
