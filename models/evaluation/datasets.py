"""Loads labeled faces: the FER sheets, an .npz file, or a folder of pictures by class."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models import ferplus
from emostream.models.array_files import read_arrays
from emostream.models.face_arrays import to_gray
from emostream.models.labels import FER2013, LABELS
from emostream.models.preprocessing import resize
from emostream.shared.errors import SourceError
from emostream.shared.label_synonyms import canonical_label

Labels: TypeAlias = NDArray[np.intp]
Images: TypeAlias = NDArray[np.uint8] | list[NDArray[np.uint8]]
# The class names of a data set, each with the label that it means.
ClassMap: TypeAlias = Mapping[str, str]
NO_MAP: Final[ClassMap] = MappingProxyType({})

IMAGE_SUFFIXES: Final = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".pgm"}


@dataclass(frozen=True)
class Dataset:
    """Faces with their true labels, as indices of a model's labels.

    `images` are uint8 (N, H, W) or (N, H, W, 3) in BGR, or a list of single pictures. `truths` maps
    protocol names to labels (N,), with -1 for excluded faces. `votes` are the FER+ votes, uint8 (N,
    10), if known. `unknown` counts the faces that were left out because the model has no label for
    their class.
    """

    source: str
    images: Images
    truths: dict[str, Labels]
    votes: NDArray[np.uint8] | None = None
    unknown: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def protocol(self) -> str:
        """The protocol for detailed tables."""
        return "B" if "B" in self.truths else next(iter(self.truths))

    def subset(self, indices: Labels) -> "Dataset":
        """Return the faces with these indices."""
        images = self.images
        return replace(
            self,
            images=images[indices]
            if isinstance(images, np.ndarray)
            else [images[i] for i in indices],
            truths={name: labels[indices] for name, labels in self.truths.items()},
            votes=None if self.votes is None else self.votes[indices],
        )


def load_dataset(
    path: Path, split: str, labels: Sequence[str], classes: ClassMap = NO_MAP
) -> Dataset:
    """Read the faces at `path` for a model with `labels`.

    From a folder with the FER sheets, the given split is read. `classes` maps class names of other
    data sets to labels, if the names differ. Raises SourceError if there is nothing to evaluate the
    model on, or if a name in `classes` does not occur.
    """
    if path.suffix == ".npz" and path.is_file():
        return from_npz(path, labels, classes)
    if path.is_dir() and not (path / "labels.npz").exists() and any(_pictures(path)):
        return from_folder(path, labels, classes)
    if not (path / "labels.npz").exists():
        raise SourceError(
            f"no faces in {path}: give a folder with the FER sheets, a folder with one folder"
            " of pictures per class, or an .npz file with `images` and `labels`"
        )
    return from_fer(ferplus.load_faces(split, path), labels, f"FER2013 {split}, {path}")


def from_fer(faces: ferplus.FerFaces, labels: Sequence[str], source: str = "FER2013") -> Dataset:
    """Label by the FER+ protocols A and B, or by FER2013's own labels if the model has those.

    Faces with a label that the model does not have are excluded from every protocol.
    """
    if {canonical_label(label) for label in labels} == {
        canonical_label(label) for label in FER2013
    }:
        place = _label_indices(FER2013, labels)
        truths = {"FER2013": place[faces.fer2013.astype(np.intp)]}
        return Dataset(source, faces.images, truths, faces.votes)
    place = np.append(_label_indices(LABELS, labels), -1)  # the last one: excluded faces
    a, b = ferplus.protocol_a(faces.votes), ferplus.protocol_b(faces.votes)
    names = [LABELS[index] for index in b if index >= 0]
    return _require_labels(
        Dataset(
            source,
            faces.images,
            {"A": place[a], "B": place[b]},
            faces.votes,
            _unknown(names, labels),
        )
    )


def from_npz(path: Path, labels: Sequence[str], classes: ClassMap = NO_MAP) -> Dataset:
    """Read arrays `images`, uint8 (N, H, W[, 3]), and `labels`: names, or indices of `names`.

    Without an array `names` (or `label_names`), indices refer to the model's labels.
    """
    try:
        arrays = read_arrays(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} is not a readable .npz file: {error}") from error
    if not {"images", "labels"} <= arrays.keys():
        raise SourceError(f"{path} holds {', '.join(arrays) or 'nothing'}: give images and labels")
    images, given = arrays["images"], arrays["labels"]
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or given.shape != images.shape[:1]:
        raise SourceError(
            f"{path} has images {images.dtype} {images.shape} and labels {given.shape}:"
            " give uint8 (N, H, W) or (N, H, W, 3), and one label a picture"
        )
    names = arrays.get("names", arrays.get("label_names", np.array(labels))).astype(str).tolist()
    return _labeled(str(path), images, _class_names(path, given, names), labels, classes)


def resized(dataset: Dataset, side: int) -> Dataset:
    """Return the faces resampled to squares of `side` pixels, like the pipeline's crops."""
    images = [resize(np.asarray(image), side, side) for image in dataset.images]
    return replace(dataset, images=np.stack(images))


def gray_squares(dataset: Dataset, side: int) -> NDArray[np.uint8]:
    """Return the faces as gray squares, uint8 (N, side, side)."""
    faces = [resize(to_gray(image[None])[0], side, side) for image in dataset.images]
    return np.stack(faces)


def _class_names(path: Path, given: NDArray[Any], names: Sequence[str]) -> list[str]:
    """Return the class of each face by name."""
    if given.dtype.kind in "US":
        return [str(name) for name in given.astype(str)]
    if given.dtype.kind not in "iu" or (
        len(given) and not 0 <= given.min() <= given.max() < len(names)
    ):
        raise SourceError(
            f"{path}: labels are neither names nor indices of the {len(names)} label names"
        )
    return [names[int(index)] for index in given]


def from_folder(path: Path, labels: Sequence[str], classes: ClassMap = NO_MAP) -> Dataset:
    """Read the pictures in the class folders of `path`; the folder name is the label."""
    files = sorted(_pictures(path))
    pictures = []
    for file in files:
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if picture is None:
            raise SourceError(f"{file} is not a readable picture: fix or remove it")
        pictures.append(np.asarray(picture, np.uint8))
    return _labeled(str(path), pictures, [file.parent.name for file in files], labels, classes)


def _pictures(folder: Path) -> Iterable[Path]:
    return (
        file
        for file in folder.glob("*/*")
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    )


def _labeled(
    source: str, images: Images, words: Sequence[str], labels: Sequence[str], classes: ClassMap
) -> Dataset:
    """Return the faces whose class the model has a label for."""
    if missing := sorted(classes.keys() - set(words)):
        has = ", ".join(sorted(set(words)))
        raise SourceError(
            f"--map {missing[0]}=...: {source} has no such class; its classes are {has}"
        )
    words = [classes.get(word, word) for word in words]
    truth = _label_indices(words, labels)
    whole = Dataset(source, images, {"labels": truth}, None, _unknown(words, labels))
    return _require_labels(whole).subset(np.flatnonzero(truth >= 0))


def _require_labels(dataset: Dataset) -> Dataset:
    if any((truth >= 0).any() for truth in dataset.truths.values()):
        return dataset
    classes = ", ".join(sorted(dataset.unknown)) or "no face"
    raise SourceError(
        f"{dataset.source} contains no class that the model has a label for: {classes}"
    )


def _label_indices(words: Sequence[str], labels: Sequence[str]) -> Labels:
    """Return the index of the model's label for each word, -1 if there is none."""
    places = {canonical_label(label): index for index, label in enumerate(labels)}
    return np.array([places.get(canonical_label(word), -1) for word in words], np.intp)


def _unknown(words: Iterable[str], labels: Sequence[str]) -> dict[str, int]:
    known = {canonical_label(label) for label in labels}
    return dict(
        sorted(Counter(word for word in words if canonical_label(word) not in known).items())
    )
