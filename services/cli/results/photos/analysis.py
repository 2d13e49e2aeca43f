"""The results of photos: a table with one row per face, annotated copies, and a page."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from emostream.models.tensorflow_runtime import muted_stderr
from emostream.services.capture.folder import natural_order
from emostream.services.cli.results.photos.copies import write_copy
from emostream.services.cli.results.photos.page import PAGE, PhotoCard, photo_card, write_page
from emostream.services.cli.results.tables.columns import FACE, Column, Kind, Row, face_values
from emostream.services.cli.results.tables.files import FORMATS, table
from emostream.services.recognition.recognizer import RecognizedFace, Recognizer
from emostream.shared.errors import SourceError
from emostream.shared.pixels import Image
from emostream.shared.still_image import decode_still, read_still

Tell: TypeAlias = Callable[[int, int], None]

PHOTO_FACE: Final = (Column("photo", Kind.TEXT), Column("face", Kind.COUNT), *FACE)
log = logging.getLogger("emostream")


@dataclass(frozen=True, slots=True)
class Photo:
    """An analyzed photo: the sha256 of its file, its upright size, and its number of faces.

    `left_out` of these had too low a quality.
    """

    photo: str
    sha256: str
    width: int
    height: int
    faces: int
    left_out: int


@dataclass(frozen=True, slots=True)
class PhotoSummary:
    """The results of photos in `folder`, and the settings.

    `photos` are in row order; `unreadable` maps a photo's name to the reason. `faces` counts the
    faces in all photos, `left_out` those left out, by reason; `empty` counts the photos without
    faces. `tiles` is None if it depended on each photo's size.
    """

    folder: str
    files: list[str]
    photos: list[Photo]
    unreadable: dict[str, str]
    faces: int
    left_out: dict[str, int]
    empty: int
    model: dict[str, str]
    labels: list[str]
    detector: str
    score: float
    tiles: int | None


def analyze_photos(
    paths: Sequence[Path],
    folder: Path,
    recognizer: Recognizer,
    *,
    tell: Tell | None = None,
) -> PhotoSummary:
    """Write `photos.csv`, `photos.parquet`, `photos.html`, and the copies in `annotated/`.

    `folder` must exist. The rows are in natural order of the photos' names (2 before 10), the faces
    of a photo from left to right, regardless of the order of `paths`. An unreadable photo is
    skipped with a log line. `tell` is called after each photo with the number done and the total.
    Raises RecordingError if a file cannot be written, ModelError if the model fails.
    """
    photos, cards, unreadable = list[Photo](), list[PhotoCard](), dict[str, str]()
    labels, named = recognizer.model.labels, photo_names(paths)
    with table(folder, "photos", photo_columns(labels), FORMATS) as rows:
        for done, (name, path) in enumerate(named.items(), 1):
            try:
                photo, picture, faces = look_at(name, read_still(path), str(path), recognizer)
            except SourceError as error:
                log.warning("%s", error)
                unreadable[name] = str(error).removeprefix(f"{path}: ")
            else:
                rows.add(photo_rows(name, faces, len(labels)))
                copy = write_copy(folder, name, picture, faces)
                photos.append(photo)
                cards.append(photo_card(name, copy, picture, faces))
            if tell:
                tell(done, len(named))
    files = [*(f"photos.{form}" for form in FORMATS), PAGE]
    write_page(folder, cards, unreadable, recognizer)
    return _summary(str(folder), files, photos, unreadable, recognizer)


def photo_names(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the photos by name, each once, in natural order.

    The name is the file name; if two are equal, the path relative to the common folder.
    """
    # Links are not resolved: two links to a file are two photos.
    given = {path.parent.resolve() / path.name: path for path in paths}
    count = Counter(path.name.casefold() for path in given)
    top = os.path.commonpath([path.parent for path in given]) if given else ""
    named = {
        _text(whole.name if count[whole.name.casefold()] == 1 else whole.relative_to(top)): path
        for whole, path in given.items()
    }
    return dict(sorted(named.items(), key=lambda item: (natural_order(item[0]), item[0])))


def photo_columns(labels: Sequence[str]) -> list[Column]:
    """Return the columns of the table."""
    return [*PHOTO_FACE, *(Column(f"p_{label}", Kind.SHARE) for label in labels)]


def _text(name: str | Path) -> str:
    """Return a file's name as text, even if its bytes are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def look_at(
    name: str, data: bytes, origin: str, recognizer: Recognizer
) -> tuple[Photo, Image, list[RecognizedFace]]:
    """Return the facts about a photo, its picture, and its faces from left to right.

    `data` are the bytes of its file, called `origin` in messages. Raises SourceError if it is not a
    picture.
    """
    # The error is one line; OpenCV's decoders would print more.
    with muted_stderr():
        picture = decode_still(data, origin)
    found = recognizer(picture, "bgr")
    height, width = picture.shape[:2]
    left_out = sum(bool(face.left_out) for face in found)
    photo = Photo(name, hashlib.sha256(data).hexdigest(), width, height, len(found), left_out)
    return photo, picture, sorted(found, key=lambda face: face.box)


def photo_rows(name: str, faces: Sequence[RecognizedFace], labels: int) -> Iterator[Row]:
    """Yield one row per face, or one row with only the name if there is no face."""
    if not faces:
        yield (name, *[None] * (len(PHOTO_FACE) - 1 + labels))
    for number, face in enumerate(faces, 1):
        shown = face_values(face.label, face.confidence, face.quality, face.left_out)
        yield (name, number, *face.box, face.score, *shown, *face.probabilities.values())


def _summary(
    folder: str,
    files: list[str],
    photos: list[Photo],
    unreadable: dict[str, str],
    recognizer: Recognizer,
) -> PhotoSummary:
    model = recognizer.model
    return PhotoSummary(
        folder=folder,
        files=files,
        photos=photos,
        unreadable=unreadable,
        faces=sum(photo.faces for photo in photos),
        left_out={"quality": sum(photo.left_out for photo in photos)},
        empty=sum(not photo.faces for photo in photos),
        model={"name": model.name, "engine": model.engine, "sha256": model.sha256},
        labels=list(model.labels),
        detector=recognizer.detector,
        score=recognizer.score,
        tiles=recognizer.tiles,
    )
