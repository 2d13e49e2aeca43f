"""The faults that prevent writing a recording, in the operator's terms."""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from emostream.shared.errors import RecordingError

# For SQLite, a disk with less space than this is full, whatever error it reports.
LEAST_FREE_BYTES: Final = 65_536


class Fault(StrEnum):
    """What prevents writing."""

    DISK_FULL = "disk full"
    READ_ONLY = "read-only"
    LOCKED = "database locked"
    DELETED = "folder deleted"
    DAMAGED = "database damaged"
    OTHER = "cannot write"


ADVICE: Final = {
    Fault.DISK_FULL: "Free some space there, or set recorder.folder to another location",
    Fault.READ_ONLY: "Allow writing there, or set recorder.folder to another location",
    Fault.LOCKED: "Stop the program that locks it",
    Fault.DELETED: "Do not move or delete the folder of a running recorder",
    Fault.DAMAGED: "Move it away, or set recorder.folder to another location",
    Fault.OTHER: "Free some space or allow writing there; move the file away if it is not a "
    "database; or set recorder.folder to another location",
}
BY_SQLITE_CODE: Final = {
    sqlite3.SQLITE_FULL: Fault.DISK_FULL,
    sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
    sqlite3.SQLITE_BUSY: Fault.LOCKED,
    sqlite3.SQLITE_LOCKED: Fault.LOCKED,
    sqlite3.SQLITE_CORRUPT: Fault.DAMAGED,
    sqlite3.SQLITE_NOTADB: Fault.DAMAGED,
}
BY_ERRNO: Final = {
    errno.ENOSPC: Fault.DISK_FULL,
    errno.EDQUOT: Fault.DISK_FULL,
    errno.EROFS: Fault.READ_ONLY,
    errno.EACCES: Fault.READ_ONLY,
    errno.EPERM: Fault.READ_ONLY,
    errno.ENOENT: Fault.DELETED,
}


class WriteError(RecordingError):
    """A recording cannot be written now; `fault` is the reason, `advice` replaces the default."""

    def __init__(self, fault: Fault, what: str, reason: object, advice: str = "") -> None:
        kind = "" if fault is Fault.OTHER else f"{fault}: "
        super().__init__(f"{kind}cannot write {what}: {reason}. {advice or ADVICE[fault]}")
        self.fault = fault


@contextlib.contextmanager
def writing_database(path: Path) -> Iterator[None]:
    """Convert errors from SQLite and the disk to WriteError."""
    shown = f"the database {path}"
    with writing_file(path, shown):
        try:
            yield
        except sqlite3.Error as error:
            raise WriteError(_database_fault(error, path), shown, error) from error


@contextlib.contextmanager
def writing_file(path: Path, shown: str = "") -> Iterator[None]:
    """Convert errors from the disk to WriteError; `shown` is what cannot be written."""
    try:
        yield
    except OSError as error:
        fault = file_fault(error.errno, path)
        raise WriteError(fault, shown or str(path), error.strerror or error) from error


def file_fault(number: int | None, path: Path) -> Fault:
    """Return why the file at the path cannot be written, from the error's `errno`."""
    return BY_ERRNO.get(number or 0) or _fault_of_disk(path.parent)


def _fault_of_disk(folder: Path) -> Fault:
    try:
        disk = os.statvfs(folder)
    except FileNotFoundError:
        return Fault.DELETED
    except OSError:
        return Fault.OTHER
    if disk.f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK):
        return Fault.READ_ONLY
    return Fault.DISK_FULL if disk.f_bavail * disk.f_frsize < LEAST_FREE_BYTES else Fault.OTHER


def _database_fault(error: sqlite3.Error, path: Path) -> Fault:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return Fault.DELETED
    # The low byte is the kind of error. An I/O error or a failed open may come from the disk.
    return BY_SQLITE_CODE.get(code & 0xFF) or _fault_of_disk(path.parent)
