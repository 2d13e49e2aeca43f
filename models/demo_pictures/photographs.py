"""Chooses the photographs that are averaged for each emotion."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models.classifier import Classifier
from emostream.models.demo_pictures.averages import Average, average
from emostream.models.demo_pictures.bending import bent
from emostream.models.demo_pictures.face_mesh import HEIGHT, MIDDLE, WIDTH, Meshes
from emostream.models.labels import LABELS
from emostream.shared.pixels import Image

Floats = NDArray[np.float32]
Numbers = NDArray[np.intp]

# Faces whose difference from the class average correlates more than this are the same photograph.
SAME_PHOTOGRAPH = 0.55
MINIMUM = 25


@dataclass(frozen=True, slots=True)
class Choice:
    """How the photographs of an emotion are chosen, and how far its average is exaggerated.

    The best `count` photographs are used. The score is the share of the votes, plus `sure` times
    the classifier's probability, minus `apart` times the distance from the class's usual shape. If
    `grown`, each photograph is instead chosen to maximize the classifier's confidence in the
    average so far. With `mirror`, mirrored copies are included. Away from the features, the
    expression's changes to the skin are blurred by `soften` pixels.
    """

    count: int
    sure: float = 1.0
    apart: float = 0.25
    exaggerate: float = 1.0
    grown: bool = False
    mirror: bool = True
    soften: float = 5.0


CHOICES = {
    "neutral": Choice(120),
    "happiness": Choice(120),
    "surprise": Choice(120),
    "sadness": Choice(70, apart=0.6),
    "anger": Choice(100, sure=2, apart=0.2, exaggerate=1.2),
    "disgust": Choice(32, apart=0.3, exaggerate=1.1, soften=9),
    "fear": Choice(62, sure=2, exaggerate=1.35, grown=True),
    "contempt": Choice(29, sure=2, exaggerate=1.5, grown=True, mirror=False, soften=3),
}
# For `grown`: the initial number of photographs, how many to add at a time, and the maximum
# distance of a shape.
BEGIN, ADD, FARTHEST, USUAL, GROWN_GAIN = 8, 3, 2.5, 40, 1.25
# The crop of the canvas that matches the classifier's training faces: sides and center.
CUTS, CUT_DOWN, SHRINK = (350, 385), 40, 4
BRIGHTNESS, CONTRAST = 128, 50


def choose(
    label: str,
    faces: Image,
    shares: Floats,
    meshes: Meshes,
    model: Classifier,
    neutral: Average | None,
) -> Numbers:
    """Return the indices of the class's faces, uint8 (N, 48, 48), to average for the emotion.

    `shares` (N,) are the emotion's shares of the votes.
    """
    choice, column = CHOICES[label], LABELS.index(label)
    chances = _predict(model, faces)
    apart = ((meshes.leveled - np.median(meshes.leveled, axis=0))[..., :2] ** 2).sum(axis=(1, 2))
    apart /= np.median(apart)
    score = shares + choice.sure * chances[:, column] - choice.apart * apart
    if not choice.grown or neutral is None:
        return distinct(faces, meshes, np.arange(len(faces)), score, choice.count)
    near = np.flatnonzero(apart < FARTHEST)
    pool = distinct(faces, meshes, near, score[near], len(near))
    lead = chances[pool, column] - np.delete(chances[pool], column, axis=1).max(axis=1)
    return pool[_grown(faces[pool], meshes[pool], lead, label, model, neutral)]


def distinct(faces: Image, meshes: Meshes, among: Numbers, score: Floats, most: int) -> Numbers:
    """Return the best faces of `among`, without duplicates, mirrored or not."""
    small = np.array([_small_leveled(faces[k], meshes.found[k], meshes.leveled[k]) for k in among])
    own = small - small.mean(axis=0)
    own /= np.linalg.norm(own, axis=(1, 2), keepdims=True)
    rows, flipped = own.reshape(len(own), -1), own[:, :, ::-1].reshape(len(own), -1)
    alike = np.maximum(rows @ rows.T, rows @ flipped.T)
    kept: list[int] = []
    for index in np.argsort(-score, kind="stable").tolist():
        if len(kept) < most and not (alike[index, kept] >= SAME_PHOTOGRAPH).any():
            kept.append(index)
    return among[kept]


def _small_leveled(face: Image, found: Floats, leveled: Floats) -> Floats:
    matrix, _ = cv2.estimateAffinePartial2D(48 * found[:, :2], leveled[:, :2] / 8)
    size = (WIDTH // 8, HEIGHT // 8)
    small = cv2.warpAffine(face.astype(np.float32), matrix, size, borderMode=cv2.BORDER_REPLICATE)
    inner = small[18:58, 17:47]
    return np.asarray((inner - inner.mean()) / (inner.std() + 1e-3), np.float32)


def _grown(
    faces: Image, meshes: Meshes, lead: Floats, label: str, model: Classifier, neutral: Average
) -> Numbers:
    """Add the photographs that give the exaggerated average the highest confidence."""
    choice, column = CHOICES[label], LABELS.index(label)
    usual = meshes.leveled[np.argsort(-lead)[:USUAL]].mean(axis=0)
    target = neutral.shape + np.float32(GROWN_GAIN) * (usual - neutral.shape)
    plain = _shrunk(bent(neutral.picture, neutral.shape, target))
    single = np.s_[:, None]
    each = zip(faces[single], meshes.found[single], meshes.leveled[single], strict=True)
    pictures = np.array(
        [_shrunk(average(*one, target, mirror=choice.mirror).picture) for one in each]
    )
    chosen = np.argsort(-lead)[:BEGIN].tolist()
    while len(chosen) < choice.count:
        rest = [k for k in range(len(faces)) if k not in chosen]
        if not rest:
            break
        means = [pictures[[*chosen, k]].mean(axis=0) for k in rest]
        sure = _lead(model, [m + (GROWN_GAIN - 1) * (m - plain) for m in means], column)
        chosen += [rest[k] for k in np.argsort(-sure)[:ADD]]
    return np.array(chosen)


def _lead(model: Classifier, pictures: list[Floats], column: int) -> Floats:
    """Return the log ratio of the emotion to the next one in each picture."""
    cuts = [cut for picture in pictures for cut in _cuts(picture)]
    chances = _predict(model, np.array(cuts)).reshape(len(pictures), len(CUTS), -1)
    logs = np.log(chances + 1e-5)
    ahead = logs[..., column] - np.delete(logs, column, axis=2).max(axis=2)
    return np.asarray(ahead.mean(axis=1), np.float32)


def _cuts(picture: Floats) -> list[Image]:
    sharp = picture + (picture - cv2.GaussianBlur(picture, (0, 0), 1.2))
    gray = np.clip(BRIGHTNESS + CONTRAST * sharp, 0, 255).astype(np.uint8)
    cuts = []
    for side in CUTS:
        scale = 48 * SHRINK / side
        left, top = MIDDLE[0] - side / 2, MIDDLE[1] + CUT_DOWN - side / 2
        matrix = np.array([[scale, 0, -left / SHRINK * scale], [0, scale, -top / SHRINK * scale]])
        cuts.append(np.asarray(cv2.warpAffine(gray, matrix, (48, 48)), np.uint8))
    return cuts


def _shrunk(picture: Floats) -> Floats:
    size = (WIDTH // SHRINK, HEIGHT // SHRINK)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _predict(model: Classifier, faces: Image) -> Floats:
    parts = [model.predict(faces[start : start + 256]) for start in range(0, len(faces), 256)]
    return np.concatenate(parts)
