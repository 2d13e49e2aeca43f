"""Accuracy with and without the personal baseline, on tracks composed of PublicTest faces.

    python -m benchmarks.personal_baseline --model alexnet-fer --data ../shared/data/fer

A track starts with a resting face (voted neutral) for 20 s, followed by expressions of 2 s each
(faces voted otherwise) with 3 s of rest between them, at 5 fps. Rotation, position, light and noise
vary slightly per frame, like in video. FER has no second picture of any person, so an expression is
another person's face without the bias of the resting face, which overstates the cost of the
baseline. The last tracks never rest, and hold one expression. Figures are the share of frames whose
most probable label is the voted one, as means over the tracks with 95% intervals. With --scenes,
the faces are cropped by the pipeline from scenes with PublicTest faces.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models import LABELS, Classifier, ferplus, load
from emostream.models.evaluation.scenes import SceneStyle
from emostream.services.classifier.baseline import Baseline, neutral_index
from emostream.services.classifier.smoothing import NS
from emostream.services.cli.evaluation.scenes import SceneSearch, detect_in_scenes
from emostream.services.detector.backends import create, select
from emostream.shared.label_synonyms import canonical_label
from emostream.shared.progress import ProgressBar

Floats = NDArray[np.float64]

FPS = 5
VIEWS = 8
REST_S, PAUSE_S, EXPRESSION_S, HELD_S = 20, 3, 2, 40
EXPRESSIONS = 6
SAD_OR_ANGRY = (LABELS.index("sadness"), LABELS.index("anger"))


@dataclass(frozen=True)
class Track:
    """The faces of a track, in order, and their durations in s."""

    faces: Sequence[int]
    seconds: Sequence[float]


class Views:
    """The model's answers (FER+ labels in order) to a few views of each face, computed once."""

    def __init__(self, model: Classifier, images: NDArray[np.uint8], random: np.random.Generator):
        self._model = model
        self._images = images
        self._random = random
        self._known: dict[int, Floats] = {}

    def of(self, face: int) -> Floats:
        """Return the probabilities (VIEWS, 8) of a face."""
        if face not in self._known:
            seen = np.stack(
                [augmented_view(self._images[face], self._random) for _ in range(VIEWS)]
            )
            self._known[face] = emotion_probabilities(self._model, seen)
        return self._known[face]


def emotion_probabilities(model: Classifier, images: NDArray[np.uint8]) -> Floats:
    """Return the probabilities (N, 8) of the FER+ labels or synonyms; 0 for missing labels."""
    names = [canonical_label(label) for label in model.labels]
    predicted = model.predict(images)
    lacking = np.zeros(len(predicted))
    columns = [predicted[:, names.index(name)] if name in names else lacking for name in LABELS]
    return np.stack(columns, axis=1).astype(np.float64)


def augmented_view(face: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a face (S, S) varied like in another frame of a video."""
    middle = (face.shape[0] - 1) / 2
    angle, scale = random.normal(0, 3), random.normal(1, 0.03)
    turn = np.asarray(cv2.getRotationMatrix2D((middle, middle), angle, scale), np.float64)
    turn[:, 2] += random.normal(0, 0.7, 2)
    moved = cv2.warpAffine(face, turn, face.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    lit = moved * random.normal(1, 0.05) + random.normal(0, 5) + random.normal(0, 4, face.shape)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def track_frames(
    track: Track, views: Views, random: np.random.Generator
) -> Iterator[tuple[int, Floats]]:
    """Yield the index of the face in the track, and the model's answer, for each frame."""
    for place, (face, seconds) in enumerate(zip(track.faces, track.seconds, strict=True)):
        for _ in range(round(seconds * FPS)):
            seen = views.of(face)
            yield place, seen[random.integers(len(seen))]


def correct_shares(
    track: Track, true: NDArray[np.intp], views: Views, random: np.random.Generator
) -> Floats:
    """Return the share of correct frames per face: (2, faces), without and with the baseline."""
    baseline: Baseline | None = None
    right = np.zeros((2, len(track.faces)))
    for frame, (place, answer) in enumerate(track_frames(track, views, random)):
        baseline = baseline or Baseline(0, len(answer))
        centered = baseline.center(answer, frame * NS // FPS)
        label = true[track.faces[place]]
        right[:, place] += (answer.argmax() == label, centered.argmax() == label)
    return np.asarray(right / (np.array(track.seconds) * FPS), np.float64)


def with_expressions(rest: int, others: NDArray[np.intp]) -> Track:
    """Return a track of a resting face with these expressions."""
    faces, seconds = [rest], [float(REST_S)]
    for other in others:
        faces += [int(other), rest]
        seconds += [EXPRESSION_S, PAUSE_S]
    return Track(faces, seconds)


def format_mean(shares: Floats) -> str:
    """Return mean and 95% interval of shares (tracks,) in percent."""
    wide = 1.96 * shares.std(ddof=1) / np.sqrt(len(shares)) if len(shares) > 1 else 0.0
    return f"{100 * shares.mean():5.1f} ± {100 * wide:4.1f}"


def report(name: str, without: Floats, with_it: Floats) -> None:
    """Print a row; tracks without measurements have NaN."""
    kept = ~np.isnan(without)
    if kept.any():
        print(
            f"{name:44} {kept.sum():5}  {format_mean(without[kept])}  {format_mean(with_it[kept])}",
            flush=True,
        )


def compare_resting(
    name: str, tracks: Sequence[Track], true: NDArray[np.intp], views: Views, seed: int
) -> None:
    """Print the gains and losses of resting and expressive frames, the latter also by label."""
    random = np.random.default_rng(seed)
    results = [correct_shares(track, true, views, random) for track in tracks]
    first = np.array([right[:, 0] for right in results])
    later = np.array([right[:, 2::2].mean(axis=1) for right in results])
    shown = np.array([right[:, 1::2].mean(axis=1) for right in results])
    report(f"{name}: the first {REST_S} s of rest", *first.T)
    report(f"{name}: rest after that", *later.T)
    report(f"{name}: expressions", *shown.T)
    labels = np.array([true[list(track.faces[1::2])] for track in tracks])
    parts = np.array([right[:, 1::2] for right in results])
    for label in range(1, len(LABELS)):
        for_label = [part[:, chosen] for part, chosen in zip(parts, labels == label, strict=True)]
        means = [part.mean(axis=1) for part in for_label if part.size]
        if means:
            report(f"    {LABELS[label]}", *np.array(means).T)


def compare_held(faces: NDArray[np.intp], true: NDArray[np.intp], views: Views, seed: int) -> None:
    """Print the losses of tracks with a constant expression, in their last half."""
    random = np.random.default_rng(seed)
    halves = (HELD_S / 2, HELD_S / 2)
    results = np.array(
        [correct_shares(Track((face, face), halves), true, views, random)[:, 1] for face in faces]
    )
    for label in range(1, len(LABELS)):
        chosen = true[faces] == label
        report(f"never at rest: {LABELS[label]}, s 20 to 40", *results[chosen].T)


def crop_from_scenes(
    faces: NDArray[np.uint8], true: NDArray[np.intp], seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Draw each face into a scene; return crops (N, 64, 64) of those found, and their labels."""
    chosen = select()
    score = chosen.defaults.still_score
    search = SceneSearch(create(chosen, score=score), chosen, score)
    with ProgressBar("scenes", unit="faces") as bar:
        found = detect_in_scenes(faces, search, SceneStyle(), seed, bar.update)
    return found.aligned, true[found.indices]


def resting_kinds(
    true: NDArray[np.intp], predicted: NDArray[np.intp]
) -> dict[str, NDArray[np.bool_]]:
    """Return masks (N,) of resting faces by the model's reading of them."""
    neutral, sad_or_angry = true == 0, np.isin(predicted, SAD_OR_ANGRY)
    return {
        "reads sad or angry": neutral & sad_or_angry,
        "reads otherwise wrong": neutral & ~sad_or_angry & (predicted != 0),
        "reads neutral": neutral & (predicted == 0),
    }


def main() -> None:
    """Print the table of the kinds of tracks."""
    parser = argparse.ArgumentParser(description="Measure the personal baseline.")
    parser.add_argument("--data", type=Path, default=ferplus.FOLDER)
    parser.add_argument("--model", default="alexnet-fer", help="a name, or a model's file")
    parser.add_argument("--tracks", type=int, default=60, help="of each kind, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", action="store_true", help="faces cropped by the pipeline")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    faces = ferplus.load_faces("PublicTest", options.data)
    images, true = faces.images, ferplus.protocol_b(faces.votes)
    if options.scenes:
        images, true = crop_from_scenes(images, true, options.seed)
    model = load(options.model, intra_op=1)
    neutral_index(model.labels, model.name)
    random = np.random.default_rng(options.seed)
    predicted = emotion_probabilities(model, images).argmax(axis=1)
    views = Views(model, images, random)
    # By label first, so that rare labels are as frequent as the others.
    by_label = [np.flatnonzero(true == label) for label in range(len(LABELS))]

    def expressions() -> NDArray[np.intp]:
        chosen = random.permutation(range(1, len(LABELS)))[:EXPRESSIONS]
        return np.array([random.choice(by_label[label]) for label in chosen])

    def some(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        return random.permutation(np.flatnonzero(chosen))[: options.tracks]

    print(f"{model.name}: frames right, %{'tracks':>30}  {'without':12}  with the baseline")
    for name, chosen in resting_kinds(true, predicted).items():
        tracks = [with_expressions(face, expressions()) for face in some(chosen)]
        compare_resting(name, tracks, true, views, options.seed)
    held = np.concatenate([random.permutation(found)[:20] for found in by_label[1:]])
    compare_held(held, true, views, options.seed)


if __name__ == "__main__":
    main()
