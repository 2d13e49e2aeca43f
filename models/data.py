"""The FER2013 faces with their FER+ votes: reading, the protocols, the held-out slice."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from models.labels import LABELS
from shared.errors import SourceError

FOLDER: Final = Path("../shared/data/fer")
SPLITS: Final = ("Training", "PublicTest")
TILES, SIDE = 60, 48  # faces along a sheet's edge, pixels along a face's

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Faces:
    """Faces uint8 (N, 48, 48) and votes uint8 (N, 10): the eight labels, unknown, not a face."""

    images: Bytes
    votes: Bytes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen: npt.NDArray[np.bool_] | Labels | slice) -> "Faces":
        return Faces(self.images[chosen], self.votes[chosen])


def read(split: str, folder: Path = FOLDER) -> Faces:
    """Read one of SPLITS; SourceError where the folder does not hold it."""
    if split not in SPLITS:
        raise SourceError(f"no split {split!r}: choose one of {', '.join(SPLITS)}")
    sheets = sorted(folder.glob("faces_*.webp"))
    if not sheets or not (folder / "labels.npz").exists():
        raise SourceError(f"no training faces in {folder}: say where they are with --data FOLDER")
    labels = np.load(folder / "labels.npz")
    images = np.concatenate([_sheet(path) for path in sheets])[: len(labels["split"])]
    chosen = labels["split"] == SPLITS.index(split)
    return Faces(images[chosen], labels["ferplus_votes"][chosen])


def protocol_a(votes: Bytes) -> Labels:
    """Label each row as Barsoum et al. 2016 do ("majority"), -1 where the row is left out.

    Votes of one are dropped; the winner needs more than half of what remains.
    """
    kept = np.where(votes > 1, votes, 0).astype(np.intp)
    winner = kept.argmax(axis=1)
    clear = 2 * kept.max(axis=1) > kept.sum(axis=1)
    return np.where(clear & (winner < len(LABELS)), winner, -1)


def protocol_b(votes: Bytes) -> Labels:
    """Label each row by the most of its ten votes, -1 where unknown or not a face wins."""
    winner = votes.argmax(axis=1)
    return np.where(winner < len(LABELS), winner, -1)


def soft_labels(votes: Bytes) -> Floats:
    """Share of the votes that each of the eight labels has, single votes dropped: (N, 8).

    A row without any vote that counts is all zeros.
    """
    kept = np.where(votes > 1, votes, 0)[:, : len(LABELS)].astype(np.float32)
    return np.asarray(kept / np.maximum(kept.sum(axis=1, keepdims=True), 1), np.float32)


def usable(faces: Faces) -> Faces:
    """Keep the faces that protocol B labels and that have a soft label to learn from."""
    labelled = protocol_b(faces.votes) >= 0
    return faces[labelled & (soft_labels(faces.votes).sum(axis=1) > 0)]


def hold_out(faces: Faces, share: float = 0.05, seed: int = 0) -> tuple[Faces, Faces]:
    """Split into (to train on, held out for calibration), the same way for the same seed.

    FER2013 holds many pictures twice: held-out faces that are also trained on are left out.
    """
    order = np.random.default_rng(seed).permutation(len(faces))
    count = round(share * len(faces))
    learn, held_out = faces[np.sort(order[count:])], faces[np.sort(order[:count])]
    return learn, held_out[~copies(held_out, learn)]


def copies(faces: Faces, others: Faces) -> npt.NDArray[np.bool_]:
    """Say which of the faces are, pixel for pixel, also among the others."""
    known = {image.tobytes() for image in others.images}
    return np.array([image.tobytes() in known for image in faces.images], np.bool_)


def _sheet(path: Path) -> Bytes:
    sheet = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if sheet is None or sheet.shape != (TILES * SIDE, TILES * SIDE):
        raise SourceError(f"{path} is no sheet of {TILES} x {TILES} faces: copy it again")
    tiles = sheet.reshape(TILES, SIDE, TILES, SIDE).transpose(0, 2, 1, 3)
    return np.asarray(tiles.reshape(-1, SIDE, SIDE), np.uint8)
