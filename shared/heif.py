"""Decodes HEIF files: HEIC with libheif, AVIF with libavif, each assembled from its tiles."""

import io
import struct
from collections.abc import Iterator
from typing import Final

import numpy as np

from emostream.shared.errors import SourceError
from emostream.shared.optional_groups import install_command
from emostream.shared.picture_header import PictureFormat, check_size
from emostream.shared.pixels import Image

CONTENT: Final = (b"meta", b"mdat")  # the boxes with picture data


def decode_heif(data: bytes, form: PictureFormat, name: str) -> Image:
    """Return the primary picture of a HEIF file (or the first of an animation), upright.

    The result is uint8 (H, W, 3) in BGR order, without alpha; more than 8 bits are rounded down.
    `irot` and `imir` are applied; the EXIF orientation repeats them, and is not applied again
    (ISO/IEC 23008-12, annex A). Raises SourceError, which mentions `name`, if the picture is too
    large, damaged or incomplete.
    """
    # libheif silently leaves out unreadable tiles of a grid.
    if any(end > len(data) for box, end in _boxes(data) if box in CONTENT):
        raise SourceError(f"{name}: not a readable picture: its {form} is truncated")
    decode = _avif if form is PictureFormat.AVIF else _heic
    try:
        return decode(data, name)
    except ImportError as error:
        raise SourceError(
            f"{name}: {form} pictures need pillow-heif: {install_command('capture')}"
        ) from error
    except (RuntimeError, ValueError, SyntaxError, OSError, MemoryError) as error:
        reason = " ".join(str(error).split()) or "damaged"
        raise SourceError(f"{name}: not a readable picture: {form}: {reason}") from error


def _heic(data: bytes, name: str) -> Image:
    # Imported here because this library takes 20 MB and serves only one of many formats.
    import pillow_heif

    found = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
    primary = next((image for image in found if image.info.get("primary")), None)
    if primary is None:
        raise ValueError("its primary picture is missing")
    check_size(primary.size, name)
    pixels = np.asarray(primary)
    if pixels.dtype == np.uint16:  # gray pictures keep more than 8 bits
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., np.newaxis], 3, axis=2)
    return np.ascontiguousarray(pixels[..., 2::-1])


def _avif(data: bytes, name: str) -> Image:
    from PIL import ImageOps
    from PIL.AvifImagePlugin import AvifImageFile

    # Not with Image.open, which warns about large pictures at its own, lower limit.
    with AvifImageFile(io.BytesIO(data)) as picture:
        check_size(picture.size, name)
        # Pillow reports `irot` and `imir` as an EXIF orientation.
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    return np.ascontiguousarray(np.asarray(upright, np.uint8)[..., ::-1])


def _boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the type of each box of the file and its stated end (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= len(data):
        size, box = struct.unpack_from(">I4s", data, at)
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
        elif size == 0:
            size = len(data) - at
        if size < 8:
            return  # not a box: phones append their own data after the last one
        at += size
        yield box, at
