"""A lossless recorder that cannot write: it confirms nothing more, and ends instead of dropping."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from emostream.services.recorder.archive.faults import Fault, WriteError
from emostream.services.recorder.archive.progress import frames_written, run_end
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.lossless import LosslessRecorder, stopping_delivery
from emostream.shared.errors import DeliveryError, ExitCode
from emostream.shared.messages import Message
from tests import builders
from tests.builders import Clock, face
from tests.disks import small_disk
from tests.recorders import fail_with, lossless_recorder

PATIENCE = 20.0


class Rig:
    """A lossless recorder that is given one frame's answer after the other."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "emostream.db"
        self.clock = Clock()
        self.archive = ArchiveWriter(self.database)
        self.recorder: LosslessRecorder = lossless_recorder(
            self.archive, fail_with, PATIENCE, self.clock
        )
        self.seq = 0

    def give(self, count: int = 1) -> list[int]:
        """Give the next answers; return the `seq` of the credits."""
        credits: list[Message] = []
        for _ in range(count):
            credits += self.recorder([Message(builders.emotion(self.seq, face()))])
            self.seq += 1
        return [credit.header.seq for credit in credits]

    def idle(self) -> list[int]:
        return [credit.header.seq for credit in self.recorder([])]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "results")
    yield made
    made.archive.abandon()


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_lock_is_waited_for_and_nothing_is_confirmed_meanwhile(rig: Rig) -> None:
    assert rig.give(3) == [0, 1, 2]
    with locked(rig.database):
        assert rig.give(3) == []
        rig.clock.now += PATIENCE - 1
        assert rig.idle() == []
    assert rig.idle() == [5]
    assert rig.give() == [6]
    assert frames_written(rig.database) == 7


def test_a_lock_that_stays_ends_the_run(rig: Rig) -> None:
    rig.give()
    with locked(rig.database):
        assert rig.give() == []
        rig.clock.now += PATIENCE + 1
        with pytest.raises(WriteError, match="database locked"):
            rig.idle()
    assert frames_written(rig.database) == 1


@pytest.mark.parametrize("gone", ["folder", "database", "log"])
def test_what_is_deleted_is_noticed_before_anything_more_is_confirmed(rig: Rig, gone: str) -> None:
    assert rig.give(3) == [0, 1, 2]
    if gone == "folder":
        shutil.rmtree(rig.database.parent)
    else:
        suffix = "-wal" if gone == "log" else ""
        rig.database.with_name(f"emostream.db{suffix}").unlink()
    with pytest.raises(WriteError, match="folder deleted"):
        rig.give()


def test_a_probe_is_not_answered_for_rows_that_are_gone(rig: Rig) -> None:
    rig.give(3)
    shutil.rmtree(rig.database.parent)
    with pytest.raises(WriteError, match="folder deleted"):
        rig.recorder([Message(builders.emotion(2, probe=True, pid=7))])


def test_a_file_that_is_put_in_its_place_is_noticed(rig: Rig, tmp_path: Path) -> None:
    rig.give(3)
    ArchiveWriter(tmp_path / "other.db").close()
    (tmp_path / "other.db").replace(rig.database)
    with pytest.raises(WriteError, match="were replaced"):
        rig.give()


def test_a_full_disk_ends_the_run_at_once(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        rig = Rig(disk.path / "results")
        assert rig.give(3) == [0, 1, 2]
        disk.fill()
        given: list[int] = []
        with pytest.raises(WriteError, match=r"^disk full: "):
            for _ in range(1_000):
                given += rig.give()
        rig.archive.abandon()
        assert frames_written(rig.database) == 3 + len(given)


def test_a_damaged_database_is_one_clear_error_and_stays(tmp_path: Path) -> None:
    database = tmp_path / "emostream.db"
    database.write_bytes(b"\x13" * 9_000)
    with pytest.raises(WriteError, match=r"database damaged: .*Move it away"):
        Rig(tmp_path)
    assert database.read_bytes() == b"\x13" * 9_000
    # The progress display leaves it to the recorder to say so.
    assert frames_written(database) == 0
    assert run_end(database, "r") is None


def test_the_run_stops_for_good() -> None:
    with pytest.raises(DeliveryError, match=r"^disk full: ") as caught, stopping_delivery():
        raise WriteError(Fault.DISK_FULL, "the database", "database or disk is full")
    assert caught.value.exit_code == ExitCode.STOPPED
