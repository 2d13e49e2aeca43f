"""The folder of results: on a disk that all hosts share, or in object storage."""

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import ConfigError, MissingPackageError, RecordingError
from emostream.shared.optional_groups import naming_the_group

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

LOCAL: Final = "file"


def is_remote(name: str) -> bool:
    """Whether a path names a place that fsspec opens, such as `s3://bucket/folder`."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.isalnum() and scheme != LOCAL


def filesystem(url: str) -> "tuple[AbstractFileSystem, str]":
    """Return the file system of a URL or local path, and the path there.

    ConfigError for a scheme that fsspec does not know, MissingPackageError where it needs a
    package.
    """
    with naming_the_group("emostream batch", "ray"):
        import fsspec
    try:
        found: tuple[AbstractFileSystem, str] = fsspec.core.url_to_fs(url)
    except ImportError as error:
        scheme = url.partition("://")[0]
        raise MissingPackageError(f"{scheme}:// needs its own package: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{url}: {error}") from error
    return found


class Store:
    """Files below one folder, each there whole or not at all; names are relative, with `/`.

    `url` is the folder, local or of object storage. RecordingError where something cannot be
    written or read.
    """

    def __init__(self, url: str) -> None:
        self.url = url if is_remote(url) else str(Path(url).absolute())
        self._files, self._root = filesystem(self.url)
        self._is_local = not is_remote(url)

    def __getstate__(self) -> str:
        return self.url

    def __setstate__(self, url: str) -> None:
        self.__init__(url)  # type: ignore[misc]

    def exists(self, name: str) -> bool:
        """Whether the file is there."""
        with self._naming(name):
            # What another host wrote a moment ago counts.
            self._files.invalidate_cache()
            return bool(self._files.exists(self._path(name)))

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, in order; none where it is missing."""
        with self._naming(folder):
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._path(folder), detail=True)
            except FileNotFoundError:
                return []
            return sorted(one["name"].rpartition("/")[2] for one in found if one["type"] == "file")

    def put(self, local: Path, name: str) -> None:
        """Bring a local file there, in one step: nobody ever sees a part of it."""
        path = self._path(name)
        with self._naming(name):
            if not self._is_local:
                # Object storage shows an object once all of it has come.
                self._files.put_file(str(local), path)
                return
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(target) as part:
                shutil.copyfile(local, part)

    def put_text(self, text: str, name: str) -> None:
        """Write a file of that text, in one step."""
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "text"
            local.write_text(text, "utf-8")
            self.put(local, name)

    def put_json(self, tree: Any, name: str) -> None:
        """Write a file of JSON, in one step."""
        self.put_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", name)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Give a file to read."""
        with self._naming(name), self._files.open(self._path(name), "rb") as file:
            yield file

    def read_json(self, name: str) -> Any:
        """Return what a file of JSON holds, None where there is none."""
        if not self.exists(name):
            return None
        try:
            with self.open(name) as file:
                return json.load(file)
        except ValueError as error:
            raise RecordingError(f"{self.url}/{name}: no JSON: {error}") from error

    def remove(self, folder: str) -> None:
        """Remove a folder with all that is in it, if it is there."""
        with self._naming(folder), contextlib.suppress(FileNotFoundError):
            self._files.rm(self._path(folder), recursive=True)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    @contextlib.contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Raise RecordingError, which says what to do, where the file system refuses."""
        try:
            yield
        except refusals() as error:
            raise RecordingError(f"{self.url}/{name}: {reason_of(error)}") from error


def refusals() -> tuple[type[Exception], ...]:
    """Return what file systems raise for what a user can cause.

    Object storage's libraries let some errors of their own through, such as missing credentials.
    """
    amazon = sys.modules.get("botocore.exceptions")
    own = (amazon.BotoCoreError, amazon.ClientError) if amazon else ()
    return (OSError, *own)


def reason_of(error: Exception) -> str:
    """Return what such an error means, in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
