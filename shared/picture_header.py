"""Reads the format and size of a picture from the first bytes of its file."""

import re
import struct
from enum import StrEnum
from typing import Final

from emostream.shared.errors import SourceError

HEAD_BYTES: Final = 64  # enough for `picture_format`
# 16,384 x 16,384: 0.8 GB decoded, and more than the pictures of any camera.
MAX_PIXELS: Final = 1 << 28


class PictureFormat(StrEnum):
    """The supported formats of still pictures."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    BMP = "BMP"
    TIFF = "TIFF"
    GIF = "GIF"
    PNM = "PNM"
    JPEG_2000 = "JPEG 2000"
    HEIF = "HEIF"
    AVIF = "AVIF"


# For HEIF, the major brand decides: some videos list one of these as a compatible brand.
SIGNATURES: Final = {
    PictureFormat.JPEG: rb"\xff\xd8\xff",
    PictureFormat.PNG: rb"\x89PNG\r\n\x1a\n",
    PictureFormat.WEBP: rb"RIFF.{4}WEBP",
    PictureFormat.BMP: rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    PictureFormat.TIFF: rb"II[*+]\0|MM\0[*+]",
    PictureFormat.GIF: rb"GIF8[79]a",
    PictureFormat.PNM: rb"P[1-6]\s[\s\d#]",
    PictureFormat.JPEG_2000: rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    PictureFormat.AVIF: rb".{4}ftypavi[fs]|.{4}ftyp(mi[fa]\w|msf1).{4}(\w{4})*?avi[fs]",
    PictureFormat.HEIF: rb".{4}ftyp(hei[cxms]|hev[cxms]|mi[fa]\w|msf1|avc[is]|1pic|jpeg|j2ki|vvic)",
}
SIZE_OFFSETS: Final = {
    PictureFormat.PNG: (">II", 16),
    PictureFormat.BMP: ("<ii", 18),
    PictureFormat.GIF: ("<HH", 6),
}
TIFF_WIDTH, TIFF_HEIGHT = 256, 257
TIFF_SHORT: Final = 3
# All kinds of start of frame; 0xC4, 0xC8 and 0xCC mean something else.
JPEG_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
JPEG_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})


def picture_format(head: bytes) -> PictureFormat | None:
    """Return the format of a picture file from its first bytes, None if it is not a picture."""
    for form, signature in SIGNATURES.items():
        if re.match(signature, head, re.DOTALL):
            return form
    return None


def declared_size(data: bytes, form: PictureFormat) -> tuple[int, int]:
    """Return the width and height that the picture's header declares, in pixels.

    Returns (0, 0) if the header is truncated, and for formats whose decoders limit the size
    themselves: WebP (16,383 per side), HEIF and AVIF.
    """
    try:
        if form in SIZE_OFFSETS:
            layout, offset = SIZE_OFFSETS[form]
            width, height = struct.unpack_from(layout, data, offset)
            return abs(width), abs(height)
        if form is PictureFormat.JPEG:
            return _jpeg_size(data)
        if form is PictureFormat.TIFF:
            return _tiff_size(data)
        if form is PictureFormat.PNM:
            return _pnm_size(data)
        if form is PictureFormat.JPEG_2000:
            width, height, left, top = struct.unpack_from(">IIII", data, _siz(data))
            return width - left, height - top
    except (struct.error, ValueError):
        pass
    return 0, 0


def check_size(size: tuple[int, int], name: str) -> None:
    """Raise SourceError, which mentions `name`, if width x height is more than MAX_PIXELS."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise SourceError(
            f"{name}: the picture is too large: {width} x {height} pixels, "
            f"more than {MAX_PIXELS // 1_000_000} million"
        )


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        marker = data.index(b"\xff", at)
        (kind,) = struct.unpack_from("B", data, marker + 1)
        if kind in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, marker + 5)
            return width, height
        if kind in JPEG_STANDALONE or kind in (0x00, 0xFF):
            at = marker + 1 + (kind != 0xFF)
        else:
            at = marker + 2 + struct.unpack_from(">H", data, marker + 2)[0]


def _tiff_size(data: bytes) -> tuple[int, int]:
    order = "<" if data[:1] == b"I" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    layout, counted, step = ("Q", "Q", 20) if big else ("I", "H", 12)
    (first,) = struct.unpack_from(order + layout, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + counted, data, first)
    first += struct.calcsize(order + counted)
    found = {TIFF_WIDTH: 0, TIFF_HEIGHT: 0}
    for at in range(first, first + step * count, step):
        tag, kind = struct.unpack_from(order + "HH", data, at)
        if tag in found:
            value = at + (12 if big else 8)
            found[tag] = struct.unpack_from(order + "HI"[kind != TIFF_SHORT], data, value)[0]
    return found[TIFF_WIDTH], found[TIFF_HEIGHT]


def _pnm_size(data: bytes) -> tuple[int, int]:
    numbers = re.findall(rb"\d+", re.sub(rb"#.*", b"", data[2:4096]))
    width, height = numbers[:2]
    return int(width), int(height)


def _siz(data: bytes) -> int:
    """Return the offset of the sizes in the header of a JPEG 2000 codestream."""
    return data.index(b"\xff\x4f\xff\x51") + 8
