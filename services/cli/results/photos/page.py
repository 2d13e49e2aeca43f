"""The page of photos: one HTML file with a thumbnail, the faces and labels of each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import cv2
import numpy as np

from emostream.services.cli.results.page_text import css_percent, data_url, percent
from emostream.services.recognition.recognizer import RecognizedFace, Recognizer
from emostream.shared.atomic_file import atomic_file
from emostream.shared.colors import colors, ink
from emostream.shared.errors import RecordingError
from emostream.shared.pixels import Image

PAGE: Final = "photos.html"
TEMPLATE: Final = Path(__file__).with_name("templates") / PAGE
SIDE: Final = 400  # pixels of a thumbnail's longer side
MOST_CARDS: Final = 1000  # of about 20 kB each


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face on the page; left, top, width and height are shares of the picture, 0 to 1.

    A face that is left out has no label.
    """

    number: int
    label: str
    confidence: float
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class PhotoCard:
    """A photo on the page: the path of its annotated copy, its thumbnail, and its faces."""

    name: str
    copy: str
    url: str
    faces: list[FaceBox]


def photo_card(name: str, copy: str, picture: Image, faces: Sequence[RecognizedFace]) -> PhotoCard:
    """Return a photo's card for the page; `copy` is the path of its annotated copy."""
    height, width = picture.shape[:2]
    return PhotoCard(
        name=name,
        copy=quote(copy),
        url=data_url(_small(picture)),
        faces=[_face_box(number, face, width, height) for number, face in enumerate(faces, 1)],
    )


def write_page(
    folder: Path, cards: Sequence[PhotoCard], unreadable: Mapping[str, str], recognizer: Recognizer
) -> None:
    """Write the page to the folder; RecordingError if it cannot be written.

    `unreadable` maps the names of skipped photos to the reason. The page has the first MOST_CARDS
    photos.
    """
    path = folder / PAGE
    html = _html(cards, unreadable, recognizer)
    try:
        with atomic_file(path) as part:
            part.write_text(html, "utf-8")
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror}") from error


def _html(cards: Sequence[PhotoCard], unreadable: Mapping[str, str], recognizer: Recognizer) -> str:
    # Imported here, so that the tables do not need it.
    from emostream.shared.html_templates import templates

    pages = templates(TEMPLATE.parent, percent=percent, css_percent=css_percent)
    given = colors(recognizer.model.labels)
    faces = [face for card in cards for face in card.faces]
    count = Counter(face.label for face in faces if face.label)
    return pages.get_template(TEMPLATE.name).render(
        cards=cards[:MOST_CARDS],
        photos=len(cards),
        empty=sum(not card.faces for card in cards),
        unreadable=unreadable,
        colors={label: (color, ink(color)) for label, color in given.items()},
        index={label: number for number, label in enumerate(given)},
        faces=len(faces),
        left_out=len(faces) - count.total(),
        count={label: count[label] for label in given if count[label]},
        recognizer=recognizer,
    )


def _small(picture: Image) -> Image:
    height, width = picture.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _face_box(number: int, face: RecognizedFace, width: int, height: int) -> FaceBox:
    x, y, across, down = face.box
    left, right = (min(max(at / width, 0.0), 1.0) for at in (x, x + across))
    top, bottom = (min(max(at / height, 0.0), 1.0) for at in (y, y + down))
    return FaceBox(number, face.label, face.confidence, left, top, right - left, bottom - top)
