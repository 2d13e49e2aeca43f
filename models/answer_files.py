"""Files with stored predictions of teachers, keyed by the faces' pixels."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emostream.models.array_files import read_arrays
from emostream.models.augment import Targets
from emostream.models.labels import HEADS
from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import SourceError, WeightsError
from emostream.shared.pixels import Image
from emostream.shared.plural import counted

SUFFIX = ".npz"
PICTURES = "pictures"


def picture_keys(images: Image) -> NDArray[np.uint64]:
    """Return a hash of each picture uint8 (N, S, S): uint64 (N,)."""
    digests = (hashlib.sha256(image.tobytes()).digest()[:8] for image in images)
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def save_answers(path: Path, images: Image, answers: Targets) -> None:
    """Write the log probabilities float32 (N, classes) by head, as float16, and the keys."""
    keys, first = np.unique(picture_keys(images), return_index=True)
    rows = {head: each[first].astype(np.float16) for head, each in answers.items()}
    with atomic_file(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **{PICTURES: keys}, **rows)  # type: ignore[arg-type]


def load_answers(path: Path, images: Image) -> Targets:
    """Return the stored log probabilities for faces uint8 (N, S, S): by head, float32 (N, classes).

    Raises SourceError if the file has no arrays, WeightsError if it has no answers or lacks one of
    the faces.
    """
    try:
        arrays = read_arrays(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not an .npz file of arrays") from error
    known = arrays.get(PICTURES, np.empty(0, np.uint64))
    answers = {head: arrays[head] for head in HEADS if head in arrays}
    if (
        not len(known)
        or not answers
        or any(rows.shape != (len(known), HEADS[head]) for head, rows in answers.items())
    ):
        raise WeightsError(f"{path}: contains no answers written by emostream.models.answers")
    wanted = picture_keys(images)
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    if missing := int((known[places] != wanted).sum()):
        raise WeightsError(
            f"{path} holds no answer for {missing} of {counted(len(images), 'face')}: "
            "store it again with these faces"
        )
    return {head: rows[places].astype(np.float32) for head, rows in answers.items()}
