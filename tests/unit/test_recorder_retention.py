"""What the recorder deletes."""

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from emostream.services.recorder.archive.video_files import video_files
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.services.recorder.retention import (
    Limits,
    Retention,
    StoredFile,
    age_reference,
    expired,
)
from emostream.shared.messages import Emotion
from tests.recorders import fault_status

NOW = 1_700_000_000.0
DAY = 86_400.0


def file(name: str, size: int, days: float) -> StoredFile:
    return StoredFile(Path(name), size, NOW - days * DAY)


FILES = [file("new", 40, 0.01), file("old", 30, 20), file("older", 20, 29), file("mid", 10, 3)]


@pytest.mark.parametrize(
    "max_bytes,max_days,database,busy,gone",
    [
        pytest.param(1_000, 30, 0, (), [], id="all fits"),
        pytest.param(1_000, 25, 0, (), ["older"], id="too old"),
        pytest.param(1_000, 2, 0, (), ["older", "old", "mid"], id="several too old"),
        pytest.param(80, 30, 0, (), ["older"], id="oldest first"),
        pytest.param(79, 30, 0, (), ["older", "old"], id="just too large"),
        pytest.param(100, 30, 0, (), [], id="exactly full"),
        pytest.param(100, 30, 21, (), ["older", "old"], id="rows count too"),
        pytest.param(80, 30, 0, ("older",), ["old"], id="never the one being written"),
        pytest.param(1, 1, 0, ("new", "old", "older", "mid"), [], id="all being written"),
        pytest.param(1, 30, 0, (), ["older", "old", "mid", "new"], id="nothing fits"),
    ],
)
def test_what_is_chosen(
    max_bytes: int, max_days: float, database: int, busy: tuple[str, ...], gone: list[str]
) -> None:
    limits = Limits(max_bytes, max_days * DAY)
    too_old = NOW - limits.max_age
    chosen = expired(FILES, limits, NOW, {Path(name) for name in busy}, database, too_old)
    assert [str(chosen.path) for chosen in chosen] == gone


def test_a_file_that_changed_just_now_may_be_another_recorders() -> None:
    files = [file("theirs", 50, 30 / DAY), file("finished", 50, 90 / DAY)]
    assert expired(files, Limits(1, 1.0), NOW, set(), 0, NOW) == [files[1]]


def test_a_file_from_the_future_is_not_one_that_changed_just_now() -> None:
    future = file("future", 50, -40)
    assert expired([future], Limits(1, DAY), NOW, set(), 0, NOW) == [future]


def make(path: Path, size: int = 10, days: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (NOW - days * DAY,) * 2)
    return path


OURS = "20231114T221320Z-a1b2-0.mp4"


def test_only_files_that_a_recorder_made_are_seen(tmp_path: Path) -> None:
    ours = make(tmp_path / "cam1" / OURS)
    for other in (
        f"cam1/{OURS}.bak", "cam1/holiday.mp4", "cam1/20231114T221320Z-a1b2.mp4", f"Cam 1/{OURS}",
        OURS, f"cam1/deeper/{OURS}", "cam1/20231114T221320Z-a1b2-0.mkv", "emostream.db",
    ):  # fmt: skip
        make(tmp_path / other)
    (tmp_path / "cam1" / OURS.replace("-0", "-1")).symlink_to(tmp_path / "cam1" / "holiday.mp4")
    (tmp_path / "cam2").symlink_to(tmp_path / "cam1")
    (tmp_path / "cam1" / OURS.replace("-0", "-2")).mkdir()
    assert video_files(tmp_path) == [ours]


def retention(folder: Path, limits: Limits) -> tuple[Retention, CollectorRegistry]:
    registry = CollectorRegistry()
    metrics = RecorderMetrics(registry)
    return Retention(folder, limits, metrics, fault_status(metrics)), registry


def fill(archive: ArchiveWriter, frames: int, t: float) -> None:
    for seq in range(frames):
        header = Emotion(
            stream="cam1", run=f"{t}", seq=seq, t=int(t * 1e9) + seq, pts=0, marks={}, model="m",
            faces=(), part=0, parts=1, degraded=False,
        )  # fmt: skip
        archive.add_emotion(header)
    archive.commit()


def test_old_videos_go_and_the_rest_stays(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    newest = make(tmp_path / "cam3" / OURS)
    gone = make(tmp_path / "cam1" / OURS, days=31)
    kept = make(tmp_path / "cam2" / OURS, days=29)
    foreign = make(tmp_path / "cam1" / "holiday.mp4", days=400)
    keeper, registry = retention(tmp_path, Limits(10**9, 30 * DAY))
    assert keeper.enforce(archive, set(), NOW)
    assert not gone.exists() and kept.exists() and foreign.exists() and newest.exists()
    assert registry.get_sample_value("emostream_recorder_deleted_files_total") == 1
    assert registry.get_sample_value("emostream_recorder_stored_bytes", {"kind": "video"}) == 20
    archive.close()


def test_old_rows_go_slice_by_slice(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    fill(archive, 5_000, NOW - 31 * DAY)
    fill(archive, 10, NOW - 29 * DAY)
    fill(archive, 1, NOW)
    keeper, _ = retention(tmp_path, Limits(10**9, 30 * DAY))
    rounds = [keeper.enforce(archive, set(), NOW) for _ in range(4)]
    assert rounds == [False, False, True, True]
    assert archive.age_limit(10) == int((NOW - 29 * DAY) * 1e9) + 10
    assert archive.prune("frames", 2**62, 100) == 11
    archive.close()


def test_rows_beyond_half_of_the_limit_go_oldest_first(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    fill(archive, 20_000, NOW)
    large = archive.bytes
    keeper, _ = retention(tmp_path, Limits(large, 30 * DAY))
    for _ in range(20):
        if keeper.enforce(archive, set(), NOW):
            break
    assert large / 3 < archive.bytes <= large / 2
    newest = int(NOW * 1e9) + 20_000
    assert archive.age_limit(10**6) == newest
    archive.close()


def test_a_database_that_cannot_shrink_ends_the_work(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    keeper, _ = retention(tmp_path, Limits(1, 30 * DAY))
    assert keeper.enforce(archive, set(), NOW)
    archive.close()


def test_a_file_that_cannot_be_deleted_is_said_and_the_others_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = make(tmp_path / "cam1" / OURS, days=31)
    other = make(tmp_path / "cam2" / OURS, days=31)
    make(tmp_path / "cam3" / OURS, days=29)
    make(tmp_path / "cam4" / OURS)
    unlink = Path.unlink

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        if path == stuck:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    keeper, registry = retention(tmp_path, Limits(10**9, 30 * DAY))
    assert keeper.enforce(None, set(), NOW)
    assert stuck.exists() and not other.exists()
    fault = {"reason": "read-only"}
    assert registry.get_sample_value("emostream_recorder_fault", fault) == 1
    monkeypatch.undo()
    assert keeper.enforce(None, set(), NOW)
    assert registry.get_sample_value("emostream_recorder_fault", fault) == 0
    assert not stuck.exists()


def test_age_counts_from_the_newest_recording_and_not_from_the_clock(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    fill(archive, 10, NOW - 20 * DAY)
    fill(archive, 10, NOW)
    kept = make(tmp_path / "cam1" / OURS, days=20)
    keeper, _ = retention(tmp_path, Limits(10**9, 30 * DAY))
    for _ in range(3):
        assert keeper.enforce(archive, set(), NOW + 40 * DAY)
    assert kept.exists()
    assert len(archive.sample_times(100)) == 20
    archive.close()


def test_what_a_clock_that_is_ahead_records_makes_nothing_else_old(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    for days in range(20, -1, -1):
        fill(archive, 100, NOW - days * DAY)
    video = make(tmp_path / "cam1" / OURS, days=20)
    fill(archive, 100, NOW + 40 * DAY)
    make(tmp_path / "cam2" / OURS, days=-40)
    keeper, _ = retention(tmp_path, Limits(10**9, 30 * DAY))
    assert keeper.enforce(archive, set(), NOW + 40 * DAY)
    assert video.exists()
    assert archive.prune("frames", 2**62, 5_000) == 22 * 100
    archive.close()


@pytest.mark.parametrize("max_days", [30.0, 0.001])
def test_the_newest_day_is_never_deleted_by_age(tmp_path: Path, max_days: float) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    fill(archive, 10, NOW - 1.5 * DAY)
    make(tmp_path / "cam1" / OURS, days=0.9)
    fill(archive, 10, NOW - 0.9 * DAY)
    fill(archive, 10, NOW)
    keeper, _ = retention(tmp_path, Limits(10**9, max_days * DAY))
    assert keeper.enforce(archive, set(), NOW + 400 * DAY)
    assert len(archive.sample_times(100)) == (30 if max_days > 1 else 20)
    archive.close()


@pytest.mark.parametrize(
    "days,reference",
    [
        pytest.param([0], 0, id="one"),
        pytest.param([31, 15, 0], 0, id="now and then"),
        pytest.param([50, 40, 39.5, 0], 39.5, id="a clock that leapt, or the first day back"),
        pytest.param([50, 40, 1.1, 0], 0, id="a day after the leap"),
        pytest.param([31, 30, 0], 0, id="just not too old"),
    ],
)
def test_the_moment_from_which_age_counts(days: list[float], reference: float) -> None:
    times = [NOW - each * DAY for each in days]
    assert age_reference(times, 30 * DAY) == NOW - reference * DAY


def test_without_recordings_nothing_is_old() -> None:
    assert age_reference([], 30 * DAY) == 0


def test_the_times_of_rows_are_sampled_from_first_to_last(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    assert archive.sample_times(10) == []
    fill(archive, 1_000, NOW)
    first = int(NOW * 1e9)
    times = archive.sample_times(10)
    assert len(times) == 10
    assert times[0] == first + 999
    assert min(times) < first + 200
    assert len(archive.sample_times(5_000)) == 1_000
    archive.close()
