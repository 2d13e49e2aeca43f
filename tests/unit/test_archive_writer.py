"""The recorder's database."""

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emostream.models.labels import LABELS
from emostream.services.recorder.archive.schema import TABLES
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.errors import MessageError, RecordingError
from emostream.shared.messages import Emotion, EmotionFace, Event, Message
from tests import builders
from tests.recorders import LiveRecorder


def face(track: int = 7, label: str = "fear") -> EmotionFace:
    probabilities = {name: index / 28 for index, name in enumerate(LABELS)}
    smoothed, box = dict.fromkeys(LABELS, 0.125), (1.5, 2.0, 30.0, 40.0)
    return builders.face(
        track, label, box=box, probabilities=probabilities, smoothed=smoothed, confidence=0.125
    )


def emotion(seq: int, *faces: EmotionFace, **changes: Any) -> Emotion:
    values = {"run": "r1", "t": 1_000 + seq, "pts": seq * 40, **changes}
    return builders.emotion(seq, *faces, **values)


def event(kind: str = "change", **changes: Any) -> Event:
    place = {"run": "r1", "t": 1_003, "pts": 120, "since": 80}
    return builders.event(3, kind, **{**place, "previous": "neutral", **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recordings" / "emostream.db"


@pytest.fixture
def archive(path: Path) -> Iterator[ArchiveWriter]:
    archive = ArchiveWriter(path)
    yield archive
    archive.close()


def read(path: Path, query: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute(query)]
    connection.close()
    return rows


def count(path: Path, table: str) -> int:
    return int(read(path, f"SELECT count(*) AS n FROM {table}")[0]["n"])


def test_an_observation_can_be_read_back_while_the_archive_is_open(
    archive: ArchiveWriter, path: Path
) -> None:
    archive.add_emotion(emotion(3, face()))
    archive.commit()
    (row,) = read(path, "SELECT * FROM observations")
    assert {key: row[key] for key in ("stream", "run", "seq", "t", "pts", "track", "label")} == {
        "stream": "cam1", "run": "r1", "seq": 3, "t": 1_003, "pts": 120, "track": 7,
        "label": "fear",
    }  # fmt: skip
    assert (row["x"], row["y"], row["width"], row["height"]) == (1.5, 2, 30, 40)
    assert row["confidence"] == 0.125
    assert [row[f"p_{label}"] for label in LABELS] == [index / 28 for index in range(8)]
    assert [row[f"s_{label}"] for label in LABELS] == [0.125] * 8


def test_a_frame_without_faces_has_its_row(archive: ArchiveWriter, path: Path) -> None:
    archive.add_emotion(emotion(0))
    archive.add_emotion(emotion(1, face(1), face(2), degraded=True))
    archive.commit()
    frames = read(path, "SELECT seq, pts, faces, whole, degraded, model FROM frames ORDER BY seq")
    assert [tuple(frame.values()) for frame in frames] == [
        (0, 0, 0, 1, 0, "alexnet-fer"),
        (1, 40, 2, 1, 1, "alexnet-fer"),
    ]
    assert count(path, "observations") == 2


def test_a_frame_is_whole_once_all_parts_are_there(archive: ArchiveWriter, path: Path) -> None:
    archive.add_emotion(emotion(0, face(1), part=1, parts=2))
    archive.commit()
    assert read(path, "SELECT faces, whole FROM frames") == [{"faces": 1, "whole": 0}]
    archive.add_emotion(emotion(0, face(2), face(3), part=0, parts=2))
    archive.commit()
    assert read(path, "SELECT faces, whole FROM frames") == [{"faces": 3, "whole": 1}]


def test_events_and_runs_are_kept(archive: ArchiveWriter, path: Path) -> None:
    archive.add_event(event("enter", previous=""))
    archive.add_emotion(emotion(4, run="r2"))
    archive.end_run(emotion(5, end=True, frames=9))
    archive.commit()
    (row,) = read(path, "SELECT kind, track, label, previous, confidence, since FROM events")
    assert tuple(row.values()) == ("enter", 7, "fear", "", 0.5, 80)
    assert read(path, "SELECT run, began, frames FROM runs ORDER BY run") == [
        {"run": "r1", "began": 1_003, "frames": 9},
        {"run": "r2", "began": 1_004, "frames": None},
    ]


@pytest.mark.parametrize(
    "header",
    [emotion(2**63), emotion(0, t=2**64), emotion(0, face(2**63)), emotion(0, pts=-(2**70))],
)
def test_numbers_that_do_not_fit_are_refused_alone(
    archive: ArchiveWriter, path: Path, header: Emotion
) -> None:
    archive.add_emotion(emotion(1))
    with pytest.raises(MessageError):
        archive.add_emotion(header)
    archive.commit()
    assert count(path, "frames") == 1


def test_commits_are_batched_by_the_clock(path: Path) -> None:
    clock = builders.Clock()
    recorder = LiveRecorder(path.parent, clock)
    commits, before = [], 0
    for seq in range(30):
        recorder.stage([Message(emotion(seq))])
        if (now := count(path, "frames")) > before:
            commits.append(seq)
            before = now
        clock.now += 0.04
    recorder.stage.close()
    assert commits == [0, 13, 26]
    assert count(path, "frames") == 30, "the rest is written on closing"


def test_a_killed_process_leaves_what_was_committed(path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.messages import Emotion
archive = ArchiveWriter(Path({str(path)!r}))
for seq in range(40):
    archive.add_emotion(Emotion(stream="a", run="r", seq=seq, t=seq, pts=0, marks={{}}, model="m",
                              faces=(), part=0, parts=1, degraded=False))
    if seq == 29:
        archive.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr
    assert count(path, "frames") == 30
    archive = ArchiveWriter(path)
    archive.add_emotion(emotion(30))
    archive.close()
    assert count(path, "frames") == 31


def test_a_file_is_added_to_by_the_next_start(path: Path) -> None:
    for run in ("r1", "r2"):
        archive = ArchiveWriter(path)
        archive.add_emotion(emotion(0, run=run))
        archive.close()
    assert count(path, "frames") == 2


def _other_program(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE notes (text)")
    connection.close()


def _newer_release(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_bytes(b"\x13" * 8192), id="no database"),
        pytest.param(lambda path: path.write_bytes(b"SQLite format 3\0" + b"\xff" * 9), id="cut"),
        pytest.param(lambda path: path.mkdir(), id="a folder"),
        pytest.param(_other_program, id="another program's"),
        pytest.param(_newer_release, id="a newer release's"),
    ],
)
def test_an_unusable_file_is_one_clear_error(tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "emostream.db"
    spoil(path)
    with pytest.raises(
        RecordingError, match=r"emostream\.db.*[Mm]ove (it|the file) away"
    ) as caught:
        ArchiveWriter(path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("in the way")
    with pytest.raises(RecordingError, match=r"recorder\.folder"):
        ArchiveWriter(tmp_path / "recordings" / "emostream.db")


def test_a_full_disk_is_one_clear_error(path: Path) -> None:
    archive = ArchiveWriter(path)
    for seq in range(2_000):
        archive.add_emotion(emotion(seq, face()))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(RecordingError, match="Free some space"):
            archive.commit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        archive.close()


def test_pruning_deletes_the_oldest_and_shrinks_the_file(
    archive: ArchiveWriter, path: Path
) -> None:
    for seq in range(3_000):
        archive.add_emotion(emotion(seq, face()))
    archive.commit()
    before = archive.bytes
    assert archive.prune("observations", 1_000 + 2_500, 2_000) == 2_000
    assert archive.prune("observations", 1_000 + 2_500, 2_000) == 500
    assert archive.prune("observations", 1_000 + 2_500, 2_000) == 0
    assert read(path, "SELECT min(seq) AS first FROM observations") == [{"first": 2_500}]
    assert count(path, "frames") == 3_000
    assert archive.bytes < before / 2


def test_the_age_of_the_oldest_rows_is_found(archive: ArchiveWriter) -> None:
    assert archive.age_limit(10) is None
    for seq in range(100):
        archive.add_emotion(emotion(seq))
    archive.commit()
    assert archive.age_limit(10) == 1_010
    assert [archive.prune(table, 1_010, 99) for table in TABLES] == [0, 10, 0]
