"""The decoder for still pictures in image folders, photos and in-process recognition."""

import stat
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from emostream.shared.errors import SourceError
from emostream.shared.heif import decode_heif
from emostream.shared.picture_header import (
    HEAD_BYTES,
    PictureFormat,
    check_size,
    declared_size,
    picture_format,
)
from emostream.shared.pixels import Image

MAX_BYTES: Final = 1 << 31  # a picture of MAX_PIXELS with 16 bits and alpha, uncompressed
FORMATS: Final = "JPEG, PNG, WebP, BMP, TIFF, HEIC or AVIF"


def read_still(path: Path) -> bytes:
    """Return the bytes of a picture file.

    Raises SourceError if it cannot be read. Before reading it completely, also raises SourceError
    if it is not a regular file (a pipe or device may never end), not a picture, or larger than
    MAX_BYTES.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceError(f"{path}: a folder, not a picture")
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{path}: a pipe or device, not a file")
        if status.st_size > MAX_BYTES:
            raise SourceError(f"{path}: the file is too large: more than {MAX_BYTES >> 30} GiB")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            _check_format(head, str(path))
            return head + file.read()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error


def decode_still(data: bytes, name: str) -> Image:
    """Return the picture in the bytes of a file, rotated upright by its metadata.

    The result is uint8 (H, W, 3) in BGR order, without alpha; 16 bits are reduced to the upper 8.
    If a file has several pictures, it is the primary one; for an animation, the first. Color
    profiles are not applied. Raises SourceError, which mentions `name`, if the data is not a
    picture, is damaged or truncated, or declares more than MAX_PIXELS (it is then not decoded).
    """
    form = _check_format(data[:HEAD_BYTES], name)
    if form in (PictureFormat.HEIF, PictureFormat.AVIF):
        return decode_heif(data, form, name)
    check_size(declared_size(data, form), name)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise SourceError(f"{name}: the picture is too large, or damaged") from error
    if picture is None:
        raise SourceError(f"{name}: not a readable picture: its {form} is damaged or truncated")
    return np.asarray(picture, np.uint8)


def _check_format(head: bytes, name: str) -> PictureFormat:
    form = picture_format(head)
    if form is None:
        reason = f"not a readable picture ({FORMATS})" if head else "the file is empty"
        raise SourceError(f"{name}: {reason}")
    return form
