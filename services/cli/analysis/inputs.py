"""What is to be analysed: the videos and photos that files, folders and patterns name."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emostream.services.capture.folder import IMAGE_SUFFIXES, natural_order
from emostream.services.capture.source_url import stream_name
from emostream.shared.errors import SourceError

VIDEOS: Final = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts"),
    *(".wmv", ".flv", ".3gp", ".ogv", ".gif", ".mxf"),
}
PHOTOS: Final = {*IMAGE_SUFFIXES, ".tif", ".tiff"}


@dataclass(frozen=True)
class Inputs:
    """The videos and the photos, each once, in the order in which they were named."""

    videos: tuple[Path, ...]
    photos: tuple[Path, ...]


def find(words: Sequence[str]) -> Inputs:
    """Return what the words of a command line name: files, folders, patterns such as `day*/`.

    Of a folder it takes the videos and photos in it, in natural order (2 before 10). SourceError
    for a word that names nothing.
    """
    paths = list(dict.fromkeys(path for word in words for path in _of(word)))
    photos = tuple(path for path in paths if path.suffix.lower() in PHOTOS)
    return Inputs(tuple(path for path in paths if path not in set(photos)), photos)


def _of(word: str) -> Iterator[Path]:
    path = Path(word).expanduser()
    if path.is_dir():
        found = [each for each in path.iterdir() if each.suffix.lower() in VIDEOS | PHOTOS]
        if not found:
            raise SourceError(f"{path}: no videos and no photos in this folder")
        yield from sorted(found, key=lambda each: natural_order(each.name))
    elif path.exists():
        yield path
    # Path.glob takes no pattern that begins at the root.
    elif matches := sorted(glob.glob(str(path), recursive=True), key=natural_order):  # noqa: PTH207
        for match in matches:
            yield from _of(match)
    else:
        raise SourceError(f"{path}: no such file or folder")


def stream_of(path: Path) -> str:
    """Return the stream's name: the stem in lower case, other characters as `-`."""
    return stream_name(str(path.absolute()))
