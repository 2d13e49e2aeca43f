"""Repairs an MP4 file that was not written to its end, by its boxes."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HEADER: Final = struct.Struct(">I4s")
LARGE: Final = struct.Struct(">Q")
# A size of 1 means that the 64-bit size follows the header.
IS_LARGE: Final = 1


def cut_incomplete(path: Path) -> None:
    """Truncate an incomplete fragment or index; delete a file without pictures.

    A fragment is the box `moof` and its pictures in `mdat`. Raises OSError.
    """
    total, end, has_pictures = path.stat().st_size, 0, False
    for kind, box_end in _boxes(path):
        if box_end > total:
            break
        has_pictures = has_pictures or kind == b"mdat"
        if kind != b"moof":
            end = box_end
    if has_pictures:
        os.truncate(path, end)
    else:
        path.unlink()


def _boxes(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield each box's type, and where it would end if complete."""
    end = 0
    with path.open("rb") as file:
        while len(header := file.read(HEADER.size)) == HEADER.size:
            size, kind = HEADER.unpack(header)
            if size == IS_LARGE:
                (size,) = LARGE.unpack(file.read(LARGE.size))
            if size < HEADER.size:
                return
            end += size
            yield kind, end
            file.seek(end)
