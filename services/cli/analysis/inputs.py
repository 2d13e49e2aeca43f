"""Finds the videos and photos to analyze from files, folders and patterns."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emostream.services.capture.folder import natural_order
from emostream.services.capture.source_url import distinct_name, stream_name
from emostream.services.cli.analysis.media_kind import USUAL_REASONS, MediaKind, media_kind
from emostream.shared.errors import SourceError
from emostream.shared.plural import counted
from emostream.shared.user_path import is_folder, path_exists, path_text, user_path

FOLDER = "folder"


@dataclass(frozen=True)
class Skipped:
    """A file or folder that is not analyzed, with the reason.

    `kind` is its suffix in lower case ("" if it has none), or FOLDER.
    """

    path: Path
    kind: str
    reason: str


@dataclass(frozen=True)
class Inputs:
    """The videos and photos, each once, in the order given.

    `refused` are named files that are neither, `skipped` are other files in the folders.
    """

    videos: tuple[Path, ...]
    photos: tuple[Path, ...]
    refused: tuple[Skipped, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def find(words: Sequence[str], *, recursive: bool = False, results: Path | None = None) -> Inputs:
    """Return the inputs for command line arguments: files, folders, patterns such as `day*/`.

    From a folder, it takes the videos and photos in natural order (2 before 10), and with
    `recursive` then those in subfolders, but no hidden files, links, or the folder `results`.
    `media_kind` decides what is a video or photo, whether named or found. Raises SourceError for an
    argument that matches nothing.
    """
    search = _Search(recursive, results)
    for word in words:
        search.word(word)
    return search.found()


def stream_of(path: Path) -> str:
    """Return the stream's name: the stem in lower case, with other characters replaced by `-`."""
    return stream_name(str(path.absolute()))


def stream_names(videos: Sequence[Path]) -> dict[Path, str]:
    """Return a unique stream name for each video.

    The first of several equal names keeps it; the others get a digest of their path relative to the
    common folder.
    """
    top = os.path.commonpath([path.absolute().parent for path in videos]) if videos else ""
    names: dict[str, Path] = {}
    for path in videos:
        name = stream_of(path)
        if name in names:
            name = distinct_name(name, str(path.absolute().relative_to(top)))
        names[name] = path
    return {path: name for name, path in names.items()}


def count_kinds(skipped: Iterable[Skipped]) -> dict[str, int]:
    """Return how many of each kind were skipped, most frequent first."""
    count = Counter(one.kind for one in skipped)
    return dict(sorted(count.items(), key=lambda item: (-item[1], item[0])))


def skipped_line(skipped: Iterable[Skipped], *, recursive: bool) -> str:
    """Return one line with the numbers of skipped files by suffix, and of skipped folders."""
    skipped = list(skipped)
    count = count_kinds(skipped)
    folders = count.pop(FOLDER, 0)
    parts = [
        f"{number} {kind or 'without a suffix'}{_why_not(kind, skipped)}"
        for kind, number in count.items()
    ]
    if folders:
        hint = "" if recursive else " (--recursive takes folders too)"
        parts.append(f"{counted(folders, 'folder')}{hint}")
    return f"skipped {', '.join(parts)}"


def _why_not(kind: str, skipped: Sequence[Skipped]) -> str:
    """Return the first file of a kind that was skipped for an unusual reason, with the reason."""
    unusual = [one for one in skipped if one.kind == kind and one.reason not in USUAL_REASONS]
    if not unusual:
        return ""
    more = f", and {len(unusual) - 1} more" if len(unusual) > 1 else ""
    return f" ({path_text(unusual[0].path.name)}: {unusual[0].reason}{more})"


class _Search:
    """Collects the inputs for command line arguments."""

    def __init__(self, recursive: bool, results: Path | None) -> None:
        self._recursive = recursive
        self._results = results.resolve() if results else None
        self._found: dict[Path, tuple[Path, MediaKind]] = {}
        self._refused: dict[Path, Skipped] = {}
        self._skipped: dict[Path, Skipped] = {}

    def found(self) -> Inputs:
        """Return the collected inputs."""
        of = {
            kind: tuple(path for path, its in self._found.values() if its is kind)
            for kind in MediaKind
        }
        return Inputs(
            of[MediaKind.VIDEO],
            of[MediaKind.PHOTO],
            tuple(self._refused.values()),
            # A file found in a folder may also have been named.
            tuple(one for path, one in self._skipped.items() if path not in self._refused),
        )

    def word(self, word: str) -> None:
        """Collect the inputs for one argument."""
        path = user_path(word)
        if is_folder(path):
            self._named_folder(path)
        elif path_exists(path):
            self._file(path, self._refused)
        # Path.glob does not accept absolute patterns.
        elif matches := glob.glob(str(path), recursive=True):  # noqa: PTH207
            for match in map(Path, sorted(matches, key=natural_order)):
                if is_folder(match):
                    self._named_folder(match)
                else:
                    self._file(match, self._skipped)
        else:
            raise SourceError(f"{path}: {_missing(path)}")

    def _named_folder(self, folder: Path) -> None:
        skipped = len(self._skipped)
        try:
            next(folder.iterdir(), None)
        except OSError as error:
            raise SourceError(f"{folder}: cannot be read: {error.strerror}") from error
        if not self._folder(folder):
            passed = list(self._skipped.values())[skipped:]
            what = f" ({skipped_line(passed, recursive=self._recursive)})" if passed else ""
            raise SourceError(f"{folder}: no videos or photos in this folder{what}")

    def _folder(self, folder: Path) -> int:
        """Collect the content of a folder; return the number of videos and photos."""
        try:
            paths = sorted(folder.iterdir(), key=lambda path: natural_order(path.name))
        except OSError as error:
            self._skip(folder, FOLDER, f"cannot be read: {error.strerror}")
            return 0
        folders = {path for path in paths if is_folder(path)}
        count = sum(self._file(path, self._skipped) for path in paths if path not in folders)
        for path in (path for path in paths if path in folders):
            if reason := self._reason_to_skip(path):
                self._skip(path, FOLDER, reason)
            else:
                count += self._folder(path)
        return count

    def _reason_to_skip(self, folder: Path) -> str:
        if not self._recursive:
            return "a subfolder, without --recursive"
        if folder.is_symlink():
            return "a symbolic link to a folder"
        if folder.name.startswith("."):
            return "a hidden folder"
        if folder.resolve() == self._results:
            return "the results folder"
        return ""

    def _file(self, path: Path, neither: dict[Path, Skipped]) -> bool:
        """Collect a file, in `neither` if it is not a video or photo; return whether it is one."""
        # Links are not resolved: two links to a file are two inputs.
        place = path.parent.resolve() / path.name
        try:
            if place not in self._found:
                self._found[place] = path, media_kind(path)
        except SourceError as error:
            neither[path] = Skipped(path, path.suffix.lower(), str(error))
            return False
        return True

    def _skip(self, path: Path, kind: str, reason: str) -> None:
        self._skipped[path] = Skipped(path, kind, reason)


def _missing(path: Path) -> str:
    try:
        path.stat()
    except FileNotFoundError:
        return "no such file or folder"
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return str(error)
    return "no such file or folder"
