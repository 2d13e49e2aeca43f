"""Finds the inputs: files, folders, patterns and manifests, local or by URL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from emostream.services.capture.folder import IMAGE_SUFFIXES, natural_order
from emostream.services.cli.analysis import inputs
from emostream.services.cli.analysis.inputs import Skipped
from emostream.services.cli.analysis.media_kind import VIDEO_SUFFIXES
from emostream.services.cli.batch.media import Media
from emostream.services.cli.batch.store import filesystem, is_remote, reason_of, refusals
from emostream.services.cli.results.photos.analysis import photo_names
from emostream.shared.errors import ConfigError, SourceError
from emostream.shared.user_path import path_text, user_path
from emostream.shared.whole_file import read_whole

PHOTOS: Final = "photos"  # the recording name that all photos share
PATTERN: Final = "*?["
# In object storage, the extension decides, because reading every file would take too long.
REMOTE_SUFFIXES: Final = VIDEO_SUFFIXES | {".ts", ".mts"}


@dataclass
class Found:
    """The videos and photos, each once; `refused` maps other inputs to the reason."""

    media: list[Media] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


def find(words: Sequence[str], manifests: Sequence[str], *, recursive: bool, out: str) -> Found:
    """Return the inputs for command line arguments and manifest lines.

    From folders, it takes the videos and photos, with `recursive` also those in subfolders, but
    never anything in `out`. A manifest line that matches nothing is refused without stopping the
    others. Raises SourceError for an argument that matches nothing.
    """
    found = Found()
    urls: dict[str, bool] = {}  # maps a path to whether it is a photo
    results = None if is_remote(out) else Path(out)
    for word in words:
        _add(word, urls, found, recursive, results)
    for manifest in manifests:
        for line in manifest_lines(manifest):
            try:
                _add(line, urls, found, recursive, results)
            except SourceError as error:
                found.refused[line] = str(error).removeprefix(f"{line}: ")
    paths = {_path_of(url): url for url, is_photo in urls.items() if not is_photo}
    photos = {_path_of(url): url for url, is_photo in urls.items() if is_photo}
    found.media = [
        Media(paths[path], path_text(path.name), name)
        for path, name in inputs.stream_names(list(paths)).items()
    ]
    found.media += [
        Media(photos[path], name, PHOTOS, is_photo=True)
        for name, path in photo_names(list(photos)).items()
    ]
    return found


def manifest_lines(manifest: str) -> list[str]:
    """Return the paths and URLs in a manifest, one per line; `#` starts a comment.

    Paths are relative to the manifest's folder. Raises ConfigError if it cannot be read.
    """
    try:
        if is_remote(manifest):
            files, path = filesystem(manifest)
            data = files.cat_file(path)
        else:
            data = read_whole(user_path(manifest))
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"--manifest {manifest}: no text: {error}") from error
    except refusals() as error:
        raise ConfigError(f"--manifest {manifest}: {reason_of(error)}") from error
    words = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if is_remote(manifest):
        folder = manifest.rpartition("/")[0]
        return [word if is_remote(word) else f"{folder}/{word}" for word in words]
    parent = user_path(manifest).absolute().parent
    return [word if is_remote(word) else str(parent / user_path(word)) for word in words]


def _add(
    word: str, urls: dict[str, bool], found: Found, recursive: bool, results: Path | None
) -> None:
    if is_remote(word):
        urls.update(_remote(word, recursive=recursive))
        return
    local = inputs.find([word], recursive=recursive, results=results)
    urls.update({str(path.absolute()): False for path in local.videos})
    urls.update({str(path.absolute()): True for path in local.photos})
    found.refused.update({str(one.path): one.reason for one in local.refused})
    found.skipped += local.skipped


def _remote(url: str, *, recursive: bool) -> dict[str, bool]:
    """Return the files at a URL, each with whether it is a photo."""
    files, path = filesystem(url)
    scheme = url.partition("://")[0]
    try:
        if any(character in path for character in PATTERN):
            paths = [one for one in files.glob(path) if _kind(one) is not None]
        elif files.isdir(path):
            listed = files.find(path) if recursive else files.ls(path, detail=False)
            paths = [one for one in listed if _kind(one) is not None]
        elif files.exists(path):
            paths = [path]
        else:
            raise SourceError(f"{url}: no such file or folder")
    except refusals() as error:
        raise SourceError(f"{url}: {reason_of(error)}") from error
    if not paths:
        raise SourceError(f"{url}: no videos and no photos there, by the names of the files")
    return {f"{scheme}://{one.lstrip('/')}": _kind(one) is True for one in _ordered(paths)}


def _kind(path: str) -> bool | None:
    """Whether a name belongs to a photo; None if to neither a photo nor a video."""
    suffix = PurePosixPath(path).suffix.lower()
    return True if suffix in IMAGE_SUFFIXES else False if suffix in REMOTE_SUFFIXES else None


def _ordered(paths: Iterable[str]) -> list[str]:
    return sorted(paths, key=natural_order)


def _path_of(url: str) -> Path:
    """Return a path that represents the URL, to derive names from."""
    return Path("/" + url.replace("://", "/", 1)) if is_remote(url) else Path(url)
