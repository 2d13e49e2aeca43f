"""`emostream export`: what it prints and writes, and how it fails."""

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from emostream.services.cli.main import main
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.messages import Emotion, EmotionFace
from tests import builders
from tests.builders import event

LABELS = ("calm", "glad")
DETECTOR = 1_700_000_000 << 20


def face(track: int) -> EmotionFace:
    shares = dict.fromkeys(LABELS, 0.5)
    return builders.face(DETECTOR + track, "calm", probabilities=shares, smoothed=shares)


def emotion(seq: int, *faces: EmotionFace, **changes: Any) -> Emotion:
    values = {"run": "r1", "t": 1_000 + seq, "pts": seq * 40_000_000, **changes}
    return builders.emotion(seq, *faces, **values)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Record two runs of one camera and one of another, and go to the folder of the recordings."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "recordings" / "emostream.db"
    archive = ArchiveWriter(path)
    for seq in (0, 1, 4):
        archive.add_emotion(emotion(seq, face(1), face(2)))
    archive.add_emotion(emotion(0, face(3), run="r2", t=2_000))
    archive.add_emotion(emotion(1, run="r2", t=2_001, degraded=True))
    archive.add_emotion(emotion(0, stream="cam2", run="r3"))
    archive.add_event(event(run="r2", t=2_000, track=DETECTOR + 3, label="calm"))
    archive.close()
    return path


def column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def error(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that went wrong."""
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_folder_a_stream_and_a_line_each(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    assert main(["export"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "cam1: 5 frames in 2 runs, 7 faces, 3 tracks, 1 event, 2 missing, 1 degraded"
        " -> export/cam1",
        "cam2: 1 frame in 1 run, 0 faces, 0 tracks, 0 events -> export/cam2",
    ]
    assert "cam1: 5/5 frames, " in err
    for stream in ("cam1", "cam2"):
        assert sorted(path.name for path in Path("export", stream).iterdir()) == [
            "events.csv", "observations.csv", "observations.parquet", "tracks.csv",
        ]  # fmt: skip
    table = Path("export/cam1/observations.csv")
    assert column(table, "run") == ["r1"] * 6 + ["r2"] * 2
    assert column(table, "track") == ["1", "2"] * 3 + ["3", ""]
    assert column(Path("export/cam1/events.csv"), "track") == ["3"]


def test_nothing_is_overwritten(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", str(database), "--out", "deep/out", "--format", "csv"]
    assert main(words) == main(words) == 0
    folders = [line.split(" -> ")[1] for line in capsys.readouterr().out.splitlines()]
    assert folders == [f"deep/out/{name}" for name in ("cam1", "cam2", "cam1-2", "cam2-2")]
    first, second = (Path("deep/out", name, "observations.csv") for name in ("cam1", "cam1-2"))
    assert first.read_bytes() == second.read_bytes()
    assert not Path("deep/out/cam1/observations.parquet").exists()


def test_json_alone_on_stdout(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--format", "csv", "--stream", "cam1", "--json"]) == 0
    (summary,) = json.loads(capsys.readouterr().out)
    assert summary == {
        "stream": "cam1", "folder": "export/cam1",
        "files": ["observations.csv", "events.csv", "tracks.csv"],
        "runs": {"r1": "", "r2": ""},
        "frames": 5, "missing": 2, "empty": 0, "partial": 0, "degraded": 1, "pruned": 0,
        "faces": 7, "tracks": 3, "events": 1, "left_out": {"new": 0, "quality": 0},
    }  # fmt: skip


def test_a_run_alone_keeps_its_numbers(database: Path) -> None:
    """So that a face has the same number in each export."""
    assert main(["export", "--format", "csv", "--run", "r2"]) == 0
    assert column(Path("export/cam1/observations.csv"), "track") == ["3", ""]
    assert [path.name for path in Path("export").iterdir()] == ["cam1"]


def test_a_recorder_may_go_on(database: Path) -> None:
    archive = ArchiveWriter(database)
    archive.add_emotion(emotion(9, face(9), stream="cam3", run="r9"))
    archive.commit()
    assert main(["export", "--format", "csv", "--stream", "cam3"]) == 0
    archive.add_emotion(emotion(10, stream="cam3", run="r9"))
    archive.close()
    assert column(Path("export/cam3/observations.csv"), "seq") == ["9"]


def test_events_are_exported_though_retention_took_the_frames(database: Path) -> None:
    archive = ArchiveWriter(database)
    for table in ("observations", "frames"):
        archive.prune(table, 10_000, 100)
    archive.close()
    assert main(["export", "--format", "csv"]) == 0
    assert [path.name for path in Path("export").iterdir()] == ["cam1"]
    assert column(Path("export/cam1/observations.csv"), "seq") == []
    assert column(Path("export/cam1/events.csv"), "kind") == ["enter"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["absent.db"], 1, "error: no database absent.db: name"),
        (["--stream", "cam9"], 2, "error: no stream cam9 is recorded; there is cam1, cam2"),
        (["--run", "r1", "rX"], 2, "error: no run rX is recorded; there is r1, r2, r3"),
        (["--stream", "cam2", "--run", "r1"], 2, "error: no run r1 is recorded; there is r3"),
        (["--out", "recordings/emostream.db"], 1, "error: cannot create recordings/emostream.db/"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    database: Path,
    words: list[str],
    code: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["export", "--format", "csv", *words]) == code
    assert error(capsys).startswith(says)
    assert not Path("export").exists()


def test_an_empty_database_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ArchiveWriter(tmp_path / "recordings" / "emostream.db").close()
    assert main(["export", "--format", "csv"]) == 1
    assert error(capsys).startswith("error: recordings/emostream.db contains no frames: ")
    assert not Path("export").exists()


def test_a_stream_that_would_lead_elsewhere_is_refused(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The database may come from anyone."""
    connection = sqlite3.connect(database)
    for table in ("runs", "frames", "observations", "events"):
        connection.execute(f"UPDATE {table} SET stream = '../elsewhere'")
    connection.commit()
    connection.close()
    assert main(["export", "--format", "csv"]) == 1
    assert "names a stream '../elsewhere'" in error(capsys)
    assert not Path("elsewhere").exists()


def test_a_missing_package_is_said_before_the_work(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["export"]) == 2
    assert "pip install 'emostream[analyze]'" in error(capsys)
    assert not Path("export").exists()
    assert main(["export", "--format", "csv"]) == 0


@pytest.mark.parametrize("formats", ["", "xlsx", "csv,", "csv parquet"])
def test_formats_that_are_none_are_refused(
    formats: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["export", "--format", formats])
    assert "is not csv, parquet or csv,parquet" in capsys.readouterr().err
