"""Copies of photos with the faces drawn on them."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2

from emostream.services.recognition.recognizer import RecognizedFace
from emostream.shared.annotate import annotate
from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import RecordingError
from emostream.shared.messages import EmotionFace
from emostream.shared.pixels import Image

FOLDER: Final = "annotated"
LOSSLESS: Final = (".png", ".bmp", ".tif", ".tiff")
NAMES: Final = {".png": (".png",), ".jpg": (".jpg", ".jpeg")}
QUALITY: Final = (cv2.IMWRITE_JPEG_QUALITY, 92)
MAX_NAME_BYTES: Final = 255  # the limit of common file systems
MOST_OF_JPEG: Final = 65_500  # OpenCV's limit in pixels per side


def write_copy(folder: Path, name: str, picture: Image, faces: Sequence[RecognizedFace]) -> str:
    """Write a photo with its faces drawn as `annotated/<name>`; return the path from `folder`.

    It is a PNG if the photo is lossless, else a JPEG; if the name has another suffix, the right one
    is appended. A name that is too long or already taken ends in a digest. Raises RecordingError if
    it cannot be written.
    """
    suffix = Path(name).suffix.lower()
    form = ".png" if suffix in LOSSLESS or max(picture.shape) > MOST_OF_JPEG else ".jpg"
    copy = f"{FOLDER}/{_copy_name(folder / FOLDER, name, '' if suffix in NAMES[form] else form)}"
    drawn = annotate(picture, [_drawable(number, face) for number, face in enumerate(faces, 1)])
    _, code = cv2.imencode(form, drawn, QUALITY if form == ".jpg" else ())
    try:
        (folder / copy).parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(folder / copy) as part:
            part.write_bytes(code.tobytes())
    except OSError as error:
        raise RecordingError(f"{folder / copy} cannot be written: {error.strerror}") from error
    return copy


def _copy_name(folder: Path, name: str, added: str) -> str:
    path = Path(name)
    if (
        len(os.fsencode(path.name + added)) <= MAX_NAME_BYTES
        and not (folder / (name + added)).exists()
    ):
        return name + added
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    ending = f"-{digest}{added or path.suffix}"
    kept = os.fsencode(path.stem)[: MAX_NAME_BYTES - len(ending)].decode("utf-8", "ignore")
    return str(path.with_name(kept + ending))


def _drawable(number: int, face: RecognizedFace) -> EmotionFace:
    shares = face.probabilities
    return EmotionFace(
        number, face.box, shares, shares, face.label, face.confidence, face.score,
        left_out=face.left_out,
    )  # fmt: skip
