"""The FER2013 faces with their FER+ votes: loading, label protocols, and splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from emostream.models.array_files import read_arrays
from emostream.models.labels import LABELS
from emostream.shared.errors import SourceError
from emostream.shared.pixels import Image

FOLDER: Final = Path("../shared/data/fer")
SPLITS: Final = ("Training", "PublicTest")
TILES, SIDE = 60, 48  # faces along the side of a sheet, pixels along the side of a face

Votes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FerFaces:
    """Faces uint8 (N, 48, 48) with the labels of both sets.

    `votes` are the FER+ votes, uint8 (N, 10): the eight labels, unknown, not a face. `fer2013` is
    FER2013's own label, uint8 (N,), an index of `labels.FER2013`. `views` are other pictures of the
    same faces, each uint8 (N, 48, 48), that a training may use instead of `images`.
    """

    images: Image
    votes: Votes
    fer2013: npt.NDArray[np.uint8]
    views: tuple[Image, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen: npt.NDArray[np.bool_] | Labels | slice) -> "FerFaces":
        views = tuple(view[chosen] for view in self.views)
        return FerFaces(self.images[chosen], self.votes[chosen], self.fer2013[chosen], views)

    def __add__(self, other: "FerFaces") -> "FerFaces":
        return FerFaces(
            np.concatenate([self.images, other.images]),
            np.concatenate([self.votes, other.votes]),
            np.concatenate([self.fer2013, other.fer2013]),
            tuple(map(np.concatenate, zip(self.views, other.views, strict=True))),
        )


def load_faces(split: str, folder: Path = FOLDER) -> FerFaces:
    """Load one of SPLITS; SourceError if the folder does not contain it."""
    if split not in SPLITS:
        raise SourceError(f"no split {split!r}: choose one of {', '.join(SPLITS)}")
    sheets = sorted(folder.glob("faces_*.webp"))
    if not sheets or not (folder / "labels.npz").exists():
        raise SourceError(f"no training faces in {folder}: set their folder with --data FOLDER")
    labels = np.load(folder / "labels.npz")
    images = np.concatenate([_load_sheet(path) for path in sheets])[: len(labels["split"])]
    chosen = labels["split"] == SPLITS.index(split)
    return FerFaces(
        images[chosen], labels["ferplus_votes"][chosen], labels["fer2013_label"][chosen]
    )


def protocol_a(votes: Votes) -> Labels:
    """Label each row like Barsoum et al. 2016 ("majority"), -1 if the row is excluded.

    Single votes are dropped; the winner needs more than half of the remaining votes.
    """
    kept = np.where(votes > 1, votes, 0).astype(np.intp)
    winner = kept.argmax(axis=1)
    clear = 2 * kept.max(axis=1) > kept.sum(axis=1)
    return np.where(clear & (winner < len(LABELS)), winner, -1)


def protocol_b(votes: Votes) -> Labels:
    """Label each row by the most frequent of its ten votes, -1 if unknown or not a face wins."""
    winner = votes.argmax(axis=1)
    return np.where(winner < len(LABELS), winner, -1)


def soft_labels(votes: Votes) -> Floats:
    """Return each of the eight labels' share of the votes, without single votes: (N, 8).

    A row without any valid vote is all zeros.
    """
    kept = np.where(votes > 1, votes, 0)[:, : len(LABELS)].astype(np.float32)
    return np.asarray(kept / np.maximum(kept.sum(axis=1, keepdims=True), 1), np.float32)


def is_usable(faces: FerFaces) -> npt.NDArray[np.bool_]:
    """Return which faces have both a label in protocol B and a soft label, bool (N,)."""
    labeled = protocol_b(faces.votes) >= 0
    return np.asarray(labeled & (soft_labels(faces.votes).sum(axis=1) > 0), np.bool_)


def usable(faces: FerFaces) -> FerFaces:
    """Keep the faces that have both a label in protocol B and a soft label."""
    return faces[is_usable(faces)]


def split_training(faces: FerFaces) -> tuple[FerFaces, FerFaces]:
    """Split into (training, held out), which share no picture.

    All held-out faces are usable; the training faces include those labeled only by FER2013.
    """
    training, held_out = hold_out(usable(faces))
    rest = faces[~is_usable(faces)]
    return training + rest[~duplicates(rest, held_out)], held_out


def hold_out(faces: FerFaces, share: float = 0.05, seed: int = 0) -> tuple[FerFaces, FerFaces]:
    """Split into (training, held out for calibration), deterministic for a seed.

    FER2013 contains many pictures twice; held-out faces that are also in training are dropped.
    """
    order = np.random.default_rng(seed).permutation(len(faces))
    count = round(share * len(faces))
    training, held_out = faces[np.sort(order[count:])], faces[np.sort(order[:count])]
    return training, held_out[~duplicates(held_out, training)]


def with_views(faces: FerFaces, paths: Sequence[Path]) -> FerFaces:
    """Return the faces with the pictures in .npz files (array `images`) as additional views."""
    views = tuple(_load_view(path, faces.images.shape) for path in paths)
    return FerFaces(faces.images, faces.votes, faces.fer2013, views)


def duplicates(faces: FerFaces, others: FerFaces) -> npt.NDArray[np.bool_]:
    """Return which of the faces are, pixel for pixel, also among the others, bool (N,)."""
    known = {image.tobytes() for image in others.images}
    return np.array([image.tobytes() in known for image in faces.images], np.bool_)


def _load_sheet(path: Path) -> Image:
    sheet = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if sheet is None or sheet.shape != (TILES * SIDE, TILES * SIDE):
        raise SourceError(f"{path} is not a sheet of {TILES} x {TILES} faces: copy it again")
    tiles = sheet.reshape(TILES, SIDE, TILES, SIDE).transpose(0, 2, 1, 3)
    return np.asarray(tiles.reshape(-1, SIDE, SIDE), np.uint8)


def _load_view(path: Path, shape: tuple[int, ...]) -> Image:
    try:
        images = read_arrays(path)["images"]
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(f"{path}: not an .npz file with an array of images") from error
    if images.shape != shape or images.dtype != np.uint8:
        raise SourceError(f"{path}: holds {images.dtype} {images.shape}, not uint8 {shape}")
    return np.asarray(images)
