"""What the recorder deletes."""

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from emostream.services.recorder.archive.video_files import video_files
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.services.recorder.retention import Limits, Retention, StoredFile, expired
from emostream.shared.errors import RecordingError
from emostream.shared.messages import Emotion

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
    chosen = expired(FILES, limits, NOW, {Path(name) for name in busy}, database)
    assert [str(chosen.path) for chosen in chosen] == gone


def test_a_file_that_changed_just_now_may_be_another_recorders() -> None:
    files = [file("theirs", 50, 30 / DAY), file("finished", 50, 90 / DAY)]
    assert expired(files, Limits(1, 1.0), NOW, set(), 0) == [files[1]]


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


def retention(
    folder: Path, archive: ArchiveWriter, limits: Limits
) -> tuple[Retention, CollectorRegistry]:
    registry = CollectorRegistry()
    return Retention(folder, archive, limits, RecorderMetrics(registry)), registry


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
    gone = make(tmp_path / "cam1" / OURS, days=31)
    kept = make(tmp_path / "cam2" / OURS, days=29)
    foreign = make(tmp_path / "cam1" / "holiday.mp4", days=400)
    keeper, registry = retention(tmp_path, archive, Limits(10**9, 30 * DAY))
    assert keeper.enforce(set(), NOW)
    assert not gone.exists() and kept.exists() and foreign.exists()
    assert registry.get_sample_value("emostream_recorder_deleted_files_total") == 1
    assert registry.get_sample_value("emostream_recorder_stored_bytes", {"kind": "video"}) == 10
    archive.close()


def test_old_rows_go_slice_by_slice(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    fill(archive, 5_000, NOW - 31 * DAY)
    fill(archive, 10, NOW - 29 * DAY)
    keeper, _ = retention(tmp_path, archive, Limits(10**9, 30 * DAY))
    rounds = [keeper.enforce(set(), NOW) for _ in range(4)]
    assert rounds == [False, False, True, True]
    assert archive.age_limit(10**6) == int((NOW - 29 * DAY) * 1e9) + 10
    assert archive.prune("frames", 2**62, 100) == 10
    archive.close()


def test_rows_beyond_half_of_the_limit_go_oldest_first(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    fill(archive, 20_000, NOW)
    large = archive.bytes
    keeper, _ = retention(tmp_path, archive, Limits(large, 30 * DAY))
    for _ in range(20):
        if keeper.enforce(set(), NOW):
            break
    assert large / 3 < archive.bytes <= large / 2
    newest = int(NOW * 1e9) + 20_000
    assert archive.age_limit(10**6) == newest
    archive.close()


def test_a_database_that_cannot_shrink_ends_the_work(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    keeper, _ = retention(tmp_path, archive, Limits(1, 30 * DAY))
    assert keeper.enforce(set(), NOW)
    archive.close()


def test_a_file_that_cannot_be_deleted_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    make(tmp_path / "cam1" / OURS, days=31)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    keeper, _ = retention(tmp_path, archive, Limits(10**9, 30 * DAY))
    with pytest.raises(RecordingError, match=r"cannot delete .*\.mp4.*Permission denied"):
        keeper.enforce(set(), NOW)
    archive.close()
