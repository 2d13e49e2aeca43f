"""Copies of photos with the faces drawn on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2

from emostream.services.recognition.recognizer import RecognizedFace
from emostream.shared.annotate import annotate
from emostream.shared.errors import RecordingError
from emostream.shared.messages import EmotionFace
from emostream.shared.pixels import Image

FOLDER: Final = "annotated"
LOSSLESS: Final = (".png", ".bmp", ".tif", ".tiff")
NAMES: Final = {".png": (".png",), ".jpg": (".jpg", ".jpeg")}
QUALITY: Final = (cv2.IMWRITE_JPEG_QUALITY, 92)
MOST_OF_JPEG: Final = 65_500  # pixels of a side, by OpenCV


def write_copy(folder: Path, name: str, picture: Image, faces: Sequence[RecognizedFace]) -> str:
    """Write a photo with its faces drawn as `annotated/<name>`; return the path from `folder`.

    It is a PNG where the photo came without loss, else a JPEG; where the name says otherwise, the
    suffix is added to it. RecordingError where it cannot be written.
    """
    suffix = Path(name).suffix.lower()
    form = ".png" if suffix in LOSSLESS or max(picture.shape) > MOST_OF_JPEG else ".jpg"
    copy = f"{FOLDER}/{name}{'' if suffix in NAMES[form] else form}"
    drawn = annotate(picture, [_drawable(number, face) for number, face in enumerate(faces, 1)])
    _, code = cv2.imencode(form, drawn, QUALITY if form == ".jpg" else ())
    try:
        (folder / copy).parent.mkdir(parents=True, exist_ok=True)
        (folder / copy).write_bytes(code.tobytes())
    except OSError as error:
        raise RecordingError(f"{folder / copy} cannot be written: {error.strerror}") from error
    return copy


def _drawable(number: int, face: RecognizedFace) -> EmotionFace:
    shares = face.probabilities
    return EmotionFace(number, face.box, shares, shares, face.label, face.confidence, face.score)
