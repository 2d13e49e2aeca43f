"""The results folder, on a shared disk or in object storage."""

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
    """Whether a path is a URL for fsspec, such as `s3://bucket/folder`."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.isalnum() and scheme != LOCAL


def filesystem(url: str) -> "tuple[AbstractFileSystem, str]":
    """Return the file system of a URL or local path, and the path in it.

    Raises ConfigError for a scheme that fsspec does not know, MissingPackageError if it needs a
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
    """Files below one folder, each complete or absent; names are relative, with `/`.

    `url` is the folder, local or in object storage. Raises RecordingError if something cannot be
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
        """Whether the file exists."""
        with self._naming(name):
            # Another host may have written a moment ago, so do not use cached listings.
            self._files.invalidate_cache()
            return bool(self._files.exists(self._path(name)))

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted; none if it is missing."""
        with self._naming(folder):
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._path(folder), detail=True)
            except FileNotFoundError:
                return []
            return sorted(one["name"].rpartition("/")[2] for one in found if one["type"] == "file")

    def put(self, local: Path, name: str) -> None:
        """Upload a local file atomically, so that nobody sees a part of it."""
        path = self._path(name)
        with self._naming(name):
            if not self._is_local:
                # An object is visible only when the upload is complete.
                self._files.put_file(str(local), path)
                return
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(target) as part:
                shutil.copyfile(local, part)

    def put_text(self, text: str, name: str) -> None:
        """Write a text file atomically."""
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "text"
            local.write_text(text, "utf-8")
            self.put(local, name)

    def put_json(self, tree: Any, name: str) -> None:
        """Write a JSON file atomically."""
        self.put_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", name)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Yield a file for reading."""
        with self._naming(name), self._files.open(self._path(name), "rb") as file:
            yield file

    def read_json(self, name: str) -> Any:
        """Return the content of a JSON file, None if it does not exist."""
        if not self.exists(name):
            return None
        try:
            with self.open(name) as file:
                return json.load(file)
        except ValueError as error:
            raise RecordingError(f"{self.url}/{name}: not valid JSON: {error}") from error

    def remove(self, folder: str) -> None:
        """Remove a folder with its content, if it exists."""
        with self._naming(folder), contextlib.suppress(FileNotFoundError):
            self._files.rm(self._path(folder), recursive=True)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    @contextlib.contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Convert file system errors to RecordingError, with advice."""
        try:
            yield
        except refusals() as error:
            raise RecordingError(f"{self.url}/{name}: {reason_of(error)}") from error


def refusals() -> tuple[type[Exception], ...]:
    """Return the exceptions of file systems for problems that a user can cause.

    Object storage libraries also raise some errors of their own, such as for missing credentials.
    """
    amazon = sys.modules.get("botocore.exceptions")
    own = (amazon.BotoCoreError, amazon.ClientError) if amazon else ()
    return (OSError, *own)


def reason_of(error: Exception) -> str:
    """Return the meaning of such an error, in one line."""
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
        return f"{error.filename} is not a folder"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
