"""A live recorder that cannot write: it continues, says why, and writes what waited."""

import contextlib
import logging
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from emostream.services.recorder.archive.video_files import video_files
from emostream.shared.errors import ExitCode, IncompleteRecordingError
from emostream.shared.messages import Control, Message
from tests import builders
from tests.builders import Clock, face
from tests.disks import small_disk
from tests.recorders import LiveRecorder

WIDTH, HEIGHT = 320, 180
STEP_S = 0.04
RETRY_S = 2.0


class Rig:
    """A recorder that is given an answer each 40 ms of its clock, and a frame with `video`."""

    def __init__(self, folder: Path, *, video: bool = False, buffer_s: float = 120.0) -> None:
        self.folder = folder
        self.database = folder / "emostream.db"
        self.clock = Clock()
        self.recorder = LiveRecorder(folder, self.clock, video=video, buffer_s=buffer_s)
        self.video = video
        self.seq = 0
        self.credits: list[int] = []

    def run(self, seconds: float) -> None:
        """Give what comes in so many seconds."""
        for _ in range(round(seconds / STEP_S)):
            self.recorder.health.beat()
            self.clock.now += STEP_S
            place: dict[str, Any] = {"t": 10**18 + self.seq, "pts": self.seq * 40_000_000}
            messages = [Message(builders.emotion(self.seq, face(1, box=(9.0,) * 4), **place))]
            messages += [Message(builders.event(self.seq, **place))]
            if self.video:
                messages += [self.frame(place)]
            answers = self.recorder.stage(messages)
            self.credits += [message.header.seq for message in answers]
            self.seq += 1

    def frame(self, place: dict[str, Any]) -> Message:
        """Return a frame of noise, which takes room."""
        noise = np.random.default_rng(self.seq).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        header = builders.frame(self.seq, width=WIDTH, height=HEIGHT, **place).header
        return Message(header, noise.tobytes())

    @property
    def said(self) -> str:
        """What `/readyz` says."""
        return "; ".join(self.recorder.health.missing().values())

    @property
    def waiting(self) -> float:
        return self.recorder.value("waiting_rows")

    def dropped(self, reason: str) -> float:
        tables = ("frames", "observations", "events")
        count = self.recorder.value
        return sum(count("rows_dropped_total", table=table, reason=reason) for table in tables)

    def fault(self, reason: str) -> float:
        return self.recorder.value("fault", reason=reason)

    def recorded(self, database: Path | None = None) -> list[int]:
        """Return the `seq` of the frames in the database; each has its face and its event."""
        with contextlib.closing(sqlite3.connect(database or self.database)) as connection:
            found = [
                [seq for (seq,) in connection.execute(f"SELECT seq FROM {table} ORDER BY seq")]
                for table in ("frames", "observations", "events")
            ]
        assert found[0] == found[1] == found[2]
        return found[0]

    def end(self) -> None:
        self.recorder.stage.close()


@contextlib.contextmanager
def rig(folder: Path, **options: Any) -> Iterator[Rig]:
    made = Rig(folder, **options)
    try:
        yield made
    finally:
        with contextlib.suppress(IncompleteRecordingError):
            made.end()


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Lock the database as another program may."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_lock_of_a_minute_loses_no_row(tmp_path: Path) -> None:
    with rig(tmp_path) as recorder:
        recorder.run(1)
        assert recorder.said == ""
        with locked(recorder.database):
            recorder.run(3)
            assert recorder.said.startswith("database locked: ")
            assert "rows wait in memory" in recorder.said
            before = len(recorder.credits)
            recorder.run(57)
            assert recorder.waiting >= 59 / STEP_S
            assert recorder.fault("database locked") == 1
            assert len(recorder.credits) == before
        recorder.run(RETRY_S + 1)
        assert recorder.said == ""
        assert recorder.fault("database locked") == 0
        assert recorder.waiting < 1 / STEP_S
        recorder.end()
        assert recorder.recorded() == list(range(recorder.seq))
        assert recorder.credits[-1] <= recorder.seq - 1


def test_beyond_the_buffer_the_oldest_rows_are_dropped_and_counted(tmp_path: Path) -> None:
    with rig(tmp_path, buffer_s=5.0) as recorder:
        recorder.run(1)
        with locked(recorder.database):
            recorder.run(20)
            assert "were dropped" in recorder.said
        recorder.run(RETRY_S + 1)
        recorder.end()
        kept = recorder.recorded()
        dropped = recorder.seq - len(kept)
        # A frame, a face and an event each.
        assert recorder.dropped("database locked") == 3 * dropped
        assert 12 / STEP_S < dropped < 16 / STEP_S
        gap = next(seq for seq, after in enumerate(kept) if seq != after)
        assert kept == [*range(gap), *range(gap + dropped, recorder.seq)]


def test_a_full_disk_loses_no_row_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, rig(disk.path / "recordings") as recorder:
        recorder.run(1)
        disk.fill()
        recorder.run(15)
        assert recorder.said.startswith("disk full: ")
        assert recorder.fault("disk full") == 1
        assert recorder.credits[-1] in recorder.recorded()
        disk.make_room()
        recorder.run(RETRY_S + 1)
        assert recorder.said == ""
        recorder.end()
        assert recorder.recorded() == list(range(recorder.seq))


def test_a_read_only_disk_loses_no_row_once_it_can_be_written(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, rig(disk.path / "recordings") as recorder:
        recorder.run(1)
        recorder.end()
        disk.set_read_only(True)
        with rig(disk.path / "recordings") as again:
            again.seq = recorder.seq
            again.run(5)
            assert again.said.startswith("read-only: ")
            disk.set_read_only(False)
            again.run(RETRY_S + 1)
            assert again.said == ""
            again.end()
            assert again.recorded() == list(range(again.seq))


@pytest.mark.parametrize("gone", ["folder", "database", "log"])
def test_a_deleted_folder_gives_way_to_a_new_one_and_nothing_is_credited_into_nothing(
    tmp_path: Path, gone: str
) -> None:
    with rig(tmp_path / "recordings") as recorder:
        recorder.run(1)
        credited = recorder.credits[-1]
        if gone == "folder":
            shutil.rmtree(recorder.folder)
        else:
            suffix = "-wal" if gone == "log" else ""
            recorder.database.with_name(f"emostream.db{suffix}").unlink()
        recorder.run(1)
        assert recorder.said.startswith("folder deleted: ")
        assert recorder.credits[-1] == credited
        recorder.run(RETRY_S + 1)
        assert recorder.said == ""
        recorder.end()
        kept = recorder.recorded()
        assert set(range(credited + 1, recorder.seq)) <= set(kept)
        assert recorder.credits[-1] in kept


def test_a_folder_that_cannot_come_back_is_said_until_it_can(tmp_path: Path) -> None:
    with rig(tmp_path / "disk" / "recordings") as recorder:
        recorder.run(1)
        shutil.rmtree(tmp_path / "disk")
        (tmp_path / "disk").write_text("in the way")
        recorder.run(10)
        assert "rows wait in memory" in recorder.said
        (tmp_path / "disk").unlink()
        recorder.run(RETRY_S + 1)
        assert recorder.said == ""


def damage_all(database: Path) -> None:
    database.write_bytes(b"\x13" * 20_000)


def damage_pages(database: Path) -> None:
    """Write over everything but the header, as a failing disk may."""
    with database.open("r+b") as file:
        size = database.stat().st_size
        file.seek(100)
        file.write(b"\x13" * (size - 100))


def empty(database: Path) -> None:
    database.write_bytes(b"")


@pytest.mark.parametrize("damage", [damage_all, empty])
def test_a_database_that_is_damaged_while_it_is_open_is_kept_and_a_new_one_begins(
    tmp_path: Path, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with rig(tmp_path) as recorder, caplog.at_level(logging.INFO, "emostream"):
        recorder.run(1)
        credited = recorder.credits[-1]
        damage(recorder.database)
        recorder.run(1)
        assert recorder.said.startswith("database damaged: ")
        recorder.run(RETRY_S + 1)
        assert recorder.said == ""
        recorder.end()
        assert set(range(credited + 1, recorder.seq)) <= set(recorder.recorded())
        (kept,) = tmp_path.glob("emostream.db.damaged-*Z")
        lines = [line for line in caplog.messages if kept.name in line]
        assert lines == [f"renamed the damaged database to {kept} and started a new one"]


def empty_all(database: Path) -> None:
    """Empty the database and its log."""
    empty(database)
    empty(database.with_name(f"{database.name}-wal"))


@pytest.mark.parametrize(("damage", "fewest", "most"), [(damage_all, 5, 10), (empty_all, 0, 0)])
def test_a_database_that_is_damaged_again_and_again_is_tried_less_and_less_often(
    damage: Any, fewest: int, most: int, tmp_path: Path
) -> None:
    def kept() -> list[Path]:
        found = tmp_path.glob("emostream.db.damaged-*")
        return [path for path in found if not path.name.endswith(("-wal", "-shm"))]

    with rig(tmp_path) as recorder:
        recorder.run(1)
        opened = 0
        for _ in range(240):
            if recorder.database.exists():
                damage(recorder.database)
                opened += 1
            recorder.run(1)
        # A try each 2 s would open 80.
        assert 5 <= opened <= 20
        assert fewest <= len(kept()) <= most
        assert all(path.stat().st_size for path in kept())
        # Nothing is dropped: the longest wait is half of what the buffer holds.
        assert recorder.dropped("database damaged") == 0
        before = len(kept())
        recorder.run(400)
        assert recorder.said == ""
        damage(recorder.database)
        recorder.run(1)
        assert recorder.said.startswith("database damaged: ")
        # After so long it is the first damage again.
        recorder.run(RETRY_S + 1)
        assert recorder.said == ""
        assert len(kept()) > before or not most


@pytest.mark.parametrize("damage", [damage_all, damage_pages])
def test_a_database_that_is_damaged_at_the_start_is_kept_and_a_new_one_begins(
    tmp_path: Path, damage: Any
) -> None:
    with rig(tmp_path) as recorder:
        recorder.run(60)
        recorder.end()
    damage(tmp_path / "emostream.db")
    content = (tmp_path / "emostream.db").read_bytes()
    with rig(tmp_path) as again:
        again.run(RETRY_S + 1)
        again.end()
        assert again.recorded() == list(range(again.seq))
    (kept,) = tmp_path.glob("emostream.db.damaged-*Z")
    assert kept.read_bytes()[200:] == content[200:]


def test_another_programs_database_stays_as_it_is(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "emostream.db")) as connection:
        connection.execute("CREATE TABLE notes (text)")
    content = (tmp_path / "emostream.db").read_bytes()
    with rig(tmp_path) as recorder:
        recorder.run(5)
        assert recorder.said.startswith("cannot write: ")
        assert (tmp_path / "emostream.db").read_bytes() == content
        (tmp_path / "emostream.db").unlink()
        recorder.run(RETRY_S + 1)
        recorder.end()
        assert recorder.recorded() == list(range(recorder.seq))


def test_an_end_with_a_fault_says_how_many_rows_are_lost(tmp_path: Path) -> None:
    recorder = Rig(tmp_path)
    recorder.run(1)
    with locked(recorder.database):
        recorder.run(4)
        waiting = round(recorder.waiting)
        with pytest.raises(IncompleteRecordingError, match=f"{waiting} rows are lost: .* locked"):
            recorder.end()
    assert recorder.dropped("database locked") == waiting
    assert IncompleteRecordingError.exit_code == ExitCode.INCOMPLETE
    assert len(recorder.recorded()) == recorder.seq - waiting / 3


def test_a_lock_that_ends_while_the_recorder_ends_loses_nothing(tmp_path: Path) -> None:
    recorder = Rig(tmp_path)
    recorder.run(1)
    with locked(recorder.database):
        recorder.run(4)
    recorder.end()
    assert recorder.recorded() == list(range(recorder.seq))


def pictures(path: Path) -> int:
    """Return how many pictures of the file can be decoded; all of it must be whole."""
    with av.open(path) as container:
        return sum(1 for _ in container.decode(video=0))


def in_video(recorder: Rig) -> int:
    return sum(map(pictures, video_files(recorder.folder)))


def counted(recorder: Rig) -> tuple[float, float]:
    """Return how many frames count as written to video, and as missing from it."""
    labels = {"stream": "cam1"}
    written = sum(
        recorder.recorder.value("video_frames_total", results=results, **labels)
        for results in ("whole", "partial", "none")
    )
    missing = sum(
        recorder.recorder.value("video_frames_dropped_total", reason=reason, **labels)
        for reason in ("disk full", "folder deleted", "read-only")
    )
    return written, missing


def test_a_full_disk_ends_the_segment_and_each_missing_frame_is_counted(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, rig(disk.path / "rec", video=True) as recorder:
        recorder.run(0.6)
        disk.fill()
        recorder.run(6)
        assert "disk full: the video of cam1 is not recorded" in recorder.said
        for path in video_files(recorder.folder):
            assert pictures(path) > 0
        disk.make_room()
        recorder.run(RETRY_S + 0.6)
        assert recorder.said == ""
        recorder.end()
        written, missing = counted(recorder)
        assert written == in_video(recorder)
        assert written + missing == recorder.seq
        assert missing >= 6 / STEP_S
        assert len(video_files(recorder.folder)) == 2
        assert recorder.recorded() == list(range(recorder.seq))


def test_a_stream_that_goes_while_the_disk_is_full_ends_no_recorder(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, rig(disk.path / "rec", video=True) as recorder:
        recorder.run(0.6)
        disk.fill()
        recorder.run(0.2)
        recorder.recorder.stage.forget("cam1")
        assert "the video of cam1" not in recorder.said
        disk.make_room()
        recorder.run(RETRY_S + 1)
        assert recorder.said == ""
        recorder.end()
        assert recorder.recorded() == list(range(recorder.seq))


def test_a_deleted_folder_of_videos_is_made_again(tmp_path: Path) -> None:
    with rig(tmp_path, video=True) as recorder:
        recorder.run(0.6)
        (lost,) = video_files(tmp_path)
        shutil.rmtree(tmp_path / "cam1")
        recorder.run(1)
        assert "folder deleted: the video of cam1 is not recorded" in recorder.said
        recorder.run(RETRY_S + 0.6)
        assert recorder.said == ""
        recorder.end()
        written, missing = counted(recorder)
        assert written + missing == recorder.seq
        assert not lost.exists() or len(video_files(tmp_path)) == 1
        assert in_video(recorder) > 0


def test_the_command_to_stop_ends_the_fault_of_a_video(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, rig(disk.path / "rec", video=True) as recorder:
        recorder.run(0.6)
        disk.fill()
        recorder.run(3)
        assert "the video of cam1" in recorder.said
        place: dict[str, Any] = {**builders.COMMON, "run": "display"}
        off = Control(**place, command="record", arguments={"on": False})
        recorder.recorder.stage([Message(off)])
        assert "the video of cam1" not in recorder.said
        assert "rows wait" in recorder.said


def test_the_end_of_a_video_on_a_full_disk_leaves_a_file_that_plays(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, rig(disk.path / "rec", video=True) as recorder:
        recorder.run(0.6)
        disk.fill()
        with contextlib.suppress(IncompleteRecordingError):
            recorder.end()
        assert in_video(recorder) == counted(recorder)[0] > 0
