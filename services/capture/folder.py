"""Folders of images, read in the natural order of their names."""

import re
from pathlib import Path

import cv2

from emostream.services.capture.picture import OnSkip, Picture, Pictures, as_bgr
from emostream.shared.errors import SourceError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def folder_pictures(folder: Path, fps: float, on_skip: OnSkip) -> Pictures:
    """The images of a folder in natural order (2 before 10), as if taken at `fps`.

    Raises SourceError where none can be read; `on_skip` is called for each that cannot.
    """
    paths = sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES),
        key=lambda path: natural_order(path.name),
    )
    if not paths:
        raise SourceError(f"{folder}: no pictures in it ({', '.join(sorted(IMAGE_SUFFIXES))})")
    count = 0
    for path in paths:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if pixels is None:
            on_skip(f"{path}: no readable picture, left out")
            continue
        yield Picture(as_bgr(pixels), round(count * 1e9 / fps))
        count += 1
    if not count:
        raise SourceError(f"{folder}: none of its {len(paths)} pictures can be read")


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key: numbers in the name count as numbers, letters without regard to case."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part.casefold())
        for part in re.split(r"(\d+)", name)
    ]
