"""Folders of images, read in the natural order of their names."""

import re
from pathlib import Path
from typing import Final

from emostream.services.capture.picture import OnSkip, Picture, Pictures
from emostream.shared.errors import SourceError
from emostream.shared.plural import counted
from emostream.shared.still_image import decode_still, read_still

IMAGE_SUFFIXES: Final = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff"),
    *(".heic", ".heif", ".hif", ".avif"),
}


def folder_pictures(folder: Path, fps: float, on_skip: OnSkip) -> Pictures:
    """Yield the images of a folder in natural order (2 before 10), as if taken at `fps`.

    Images are recognized by file extension. Raises SourceError if none can be read; `on_skip` is
    called with a line for each unreadable image.
    """
    paths = sorted(_images(folder), key=lambda path: natural_order(path.name))
    if not paths:
        raise SourceError(f"{folder}: contains no pictures ({', '.join(sorted(IMAGE_SUFFIXES))})")
    count = 0
    for path in paths:
        try:
            pixels = decode_still(read_still(path), str(path))
        except SourceError as error:
            on_skip(f"{error}; skipped")
            continue
        yield Picture(pixels, round(count * 1e9 / fps))
        count += 1
    if not count:
        raise SourceError(f"{folder}: no readable picture among {counted(len(paths), 'file')}")


def _images(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    except OSError as error:
        raise SourceError(f"{folder}: cannot be read: {error.strerror}") from error


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key: numbers in the name are compared as numbers, letters without case."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part.casefold())
        for part in re.split(r"(\d+)", name)
    ]
