"""The tables that are made of a recorder's database."""

import csv
import itertools
import os
import re
import resource
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from emostream.models.labels import LABELS
from emostream.services.cli.results.folder import fresh_folder
from emostream.services.cli.results.tables import files
from emostream.services.cli.results.tables.recording import TableSummary, write_tables
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.errors import RecordingError
from emostream.shared.messages import Emotion, EmotionFace, Event
from tests import builders

SEVEN = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
FIXED = [
    *("stream", "seq", "pts_s", "state", "track", "x", "y", "width", "height"),
    *("detection_score", "label", "confidence"),
    *("size_px", "sharpness", "brightness", "contrast", "noise", "yaw", "pitch", "roll", "cut"),
    *("quality", "left_out"),
]
SECOND = 1_000_000_000
FIRST, OTHER = 1_700_000_000 << 20, (1_700_000_000 << 20) + 1


def face(track: int, label: str = "fear", labels: Sequence[str] = SEVEN) -> EmotionFace:
    probabilities = {name: (1 + index) / 28 for index, name in enumerate(labels)}
    smoothed = {name: 0.75 if name == label else 0.25 / (len(labels) - 1) for name in labels}
    box = (1.5, 2.0, 30.0, 40.0625)
    return EmotionFace(track, box, probabilities, smoothed, label, 0.75, 0.875)


def emotion(seq: int, *faces: EmotionFace, **changes: Any) -> Emotion:
    values = {"run": "r1", "t": 1_000 + seq, "pts": seq * SECOND // 25, **changes}
    return builders.emotion(seq, *faces, **values)


def event(kind: str, seq: int, track: int, **changes: Any) -> Event:
    pts = seq * SECOND // 25
    values = {"run": "r1", "t": 1_000 + seq, "pts": pts, "since": pts, "confidence": 0.75}
    return builders.event(seq, kind, track=track, **{**values, **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "emostream.db"


@pytest.fixture
def archive(path: Path) -> Iterator[ArchiveWriter]:
    archive = ArchiveWriter(path)
    yield archive
    archive.close()


def add(archive: ArchiveWriter, *headers: Emotion | Event) -> None:
    for header in headers:
        if isinstance(header, Event):
            archive.add_event(header)
        elif header.end:
            archive.end_run(header)
        else:
            archive.add_emotion(header)
    archive.commit()


def tables(path: Path, folder: str = "out", **options: Any) -> tuple[Path, TableSummary]:
    """Write the tables of all runs into a new folder."""
    out = fresh_folder(path.parent, folder)
    with ArchiveReader(path) as reader:
        return out, write_tables(reader, reader.runs(), out, **{"formats": ("csv",), **options})


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def values(path: Path, *names: str) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in names) for row in rows(path)]


def test_every_frame_has_its_rows(archive: ArchiveWriter, path: Path) -> None:
    add(archive, emotion(0), emotion(1, face(FIRST)), emotion(2, face(FIRST), face(OTHER)))
    add(archive, emotion(3), emotion(4, end=True, frames=4))
    out, summary = tables(path)
    found = values(out / "observations.csv", "stream", "seq", "state", "track", "label")
    assert found == [
        ("cam1", "0", "whole", "", ""),
        ("cam1", "1", "whole", "1", "fear"),
        ("cam1", "2", "whole", "1", "fear"),
        ("cam1", "2", "whole", "2", "fear"),
        ("cam1", "3", "whole", "", ""),
    ]
    assert (summary.frames, summary.missing, summary.empty, summary.faces) == (4, 0, 2, 3)
    assert (summary.tracks, summary.runs) == (2, {"r1": ""})


@pytest.mark.parametrize("labels", [LABELS, SEVEN])
def test_the_columns_are_those_of_the_model(
    archive: ArchiveWriter, path: Path, labels: Sequence[str]
) -> None:
    add(archive, emotion(0, face(FIRST, labels=labels)))
    out, _ = tables(path)
    (row,) = rows(out / "observations.csv")
    shares = [*(f"p_{name}" for name in labels), *(f"smoothed_{name}" for name in labels)]
    assert list(row) == [*FIXED, *shares]
    assert [row[f"p_{name}"] for name in labels[:2]] == ["0.035714", "0.071429"]
    assert row["smoothed_fear"] == row["confidence"] == "0.750000"
    assert [row[name] for name in ("x", "y", "width", "height")] == [
        "1.500", "2.000", "30.000", "40.062",
    ]  # fmt: skip
    assert row["detection_score"] == "0.875000"


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0.000000000"),
        (1, "0.000000001"),
        (1_234_567_891, "1.234567891"),
        (7_200 * SECOND + 33_366_667, "7200.033366667"),
        (-40_000_000, "-0.040000000"),
    ],
)
def test_seconds_are_exact_to_the_nanosecond(
    archive: ArchiveWriter, path: Path, ns: int, text: str
) -> None:
    add(archive, emotion(0, pts=ns))
    out, _ = tables(path)
    assert values(out / "observations.csv", "pts_s") == [(text,)]


def test_an_unanswered_frame_is_told_from_one_without_faces(
    archive: ArchiveWriter, path: Path
) -> None:
    add(archive, emotion(0, degraded=True), emotion(1, face(FIRST), part=1, parts=2))
    add(archive, emotion(2, parts=2), emotion(2, parts=2, part=1, degraded=True), emotion(3))
    out, summary = tables(path)
    assert values(out / "observations.csv", "seq", "state", "track") == [
        ("0", "degraded", ""),
        ("1", "partial", "1"),
        ("2", "degraded", ""),
        ("3", "whole", ""),
    ]
    assert (summary.degraded, summary.partial, summary.empty) == (2, 1, 1)


def test_faces_that_retention_deleted_are_told_from_none(
    archive: ArchiveWriter, path: Path
) -> None:
    """It deletes the oldest faces before their frames, and keeps events longest."""
    add(archive, event("enter", 0, FIRST), event("enter", 1, OTHER))
    add(archive, *(emotion(seq, face(FIRST), face(OTHER)) for seq in range(3)))
    archive.prune("observations", 2_000, 3)
    archive.prune("frames", 2_000, 1)
    out, summary = tables(path)
    assert values(out / "observations.csv", "seq", "state", "track") == [
        ("1", "pruned", "2"),
        ("2", "whole", "1"),
        ("2", "whole", "2"),
    ]
    assert (summary.pruned, summary.missing, summary.frames) == (1, 1, 2)
    assert values(out / "events.csv", "seq", "track") == [("0", "1"), ("1", "2")]


def test_rows_are_in_order_though_answers_came_out_of_order(
    archive: ArchiveWriter, path: Path
) -> None:
    """Two classifiers frame the parts of a frame, each in its own time."""
    for seq in range(2):
        add(archive, emotion(seq, face(OTHER), part=1, parts=2))
    for seq in range(2):
        add(archive, emotion(seq, face(FIRST), part=0, parts=2))
    add(archive, event("enter", 0, OTHER), event("enter", 0, FIRST), event("leave", 0, OTHER))
    out, _ = tables(path)
    assert values(out / "observations.csv", "seq", "track") == [
        ("0", "1"), ("0", "2"), ("1", "1"), ("1", "2"),
    ]  # fmt: skip
    assert values(out / "events.csv", "track", "kind") == [
        ("1", "enter"), ("2", "enter"), ("2", "leave"),
    ]  # fmt: skip


def test_tracks_are_numbered_by_their_first_appearance(archive: ArchiveWriter, path: Path) -> None:
    add(archive, emotion(0), emotion(1, face(OTHER)), emotion(2, face(FIRST), face(OTHER)))
    add(archive, event("leave", 2, FIRST))
    out, _ = tables(path)
    assert values(out / "observations.csv", "seq", "track") == [
        ("0", ""), ("1", "1"), ("2", "1"), ("2", "2"),
    ]  # fmt: skip
    assert values(out / "events.csv", "track") == [("2",)]
    with ArchiveReader(path) as reader:
        numbers = {one.track_id: one.track for one in reader.observation_rows(*reader.runs())}
    assert numbers == {OTHER: 1, FIRST: 2}


def record(path: Path, run: str, began: int, detector: int) -> None:
    archive = ArchiveWriter(path)
    for seq in range(50):
        faces = [face((detector << 20) + who, LABELS[seq // 20], LABELS) for who in range(seq % 3)]
        add(archive, emotion(seq, *faces, run=run, t=began + seq))
        add(archive, *(event("change", seq, one.track, run=run, t=began) for one in faces[:1]))
    archive.close()


def test_the_same_video_gives_the_same_bytes(tmp_path: Path) -> None:
    """The run's id, the clock and the detector's start are others each time."""
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    written = []
    for name, *start in (("a", 10**18, 1_700_000_000), ("b", 2 * 10**18, 1_800_000_000)):
        path = tmp_path / name / "emostream.db"
        record(path, f"run-{name}", *start)
        out, _ = tables(path, formats=("csv", "parquet"))
        written.append({file.name: file.read_bytes() for file in sorted(out.iterdir())})
    assert written[0] == written[1]
    assert list(written[0]) == ["events.csv", "observations.csv", "observations.parquet",
                                "tracks.csv"]  # fmt: skip


def test_parquet_holds_the_same_rows_with_types(archive: ArchiveWriter, path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    add(archive, emotion(0, pts=1_234_567_891), emotion(1, face(FIRST)))
    out, _ = tables(path, formats=("csv", "parquet"), live=True)
    table = parquet.read_table(out / "observations.parquet")
    assert table.column_names == list(rows(out / "observations.csv")[0])
    assert table["pts_s"].to_pylist() == [1.234567891, 0.04]
    assert table["track"].to_pylist() == [None, 1]
    assert table["p_angry"].to_pylist() == [None, 1 / 28]
    assert str(table.schema.field("time").type) == "timestamp[ns, tz=UTC]"
    types = {name: str(table.schema.field(name).type) for name in ("seq", "track", "state", "x")}
    assert types == {"seq": "int64", "track": "int64", "state": "string", "x": "double"}


def test_tables_are_the_same_in_however_many_batches(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    record(path, "r1", 10**18, 1_700_000_000)
    whole, _ = tables(path, "whole", formats=("csv", "parquet"))
    monkeypatch.setattr(files, "BATCH_ROWS", 7)
    parts, _ = tables(path, "parts", formats=("csv", "parquet"))
    for name in ("observations.csv", "events.csv", "tracks.csv"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()
    tell = [parquet.ParquetFile(folder / "observations.parquet") for folder in (whole, parts)]
    assert [file.num_row_groups for file in tell] == [1, 9]
    assert tell[0].read().equals(tell[1].read())


def test_odd_labels_come_through(archive: ArchiveWriter, path: Path) -> None:
    odd = ('very "happy"', "ängstlich", "a, b; DROP TABLE events", "not {sad}", "pts_s")
    add(archive, emotion(0, face(FIRST, odd[2], odd)), event("enter", 0, FIRST, label=odd[2]))
    out, _ = tables(path)
    (row,) = rows(out / "observations.csv")
    assert list(row)[len(FIXED) :][:5] == [f"p_{label}" for label in odd]
    assert row["label"] == odd[2]
    assert row[f"smoothed_{odd[2]}"] == "0.750000"
    assert values(out / "events.csv", "label") == [(odd[2],)]
    assert values(out / "tracks.csv", f"shown_{odd[2]}") == [("1.000000",)]


def test_labels_that_the_model_of_the_moment_had_not_are_empty(
    archive: ArchiveWriter, path: Path
) -> None:
    add(archive, emotion(0, face(FIRST, "fear", ("fear", "joy"))))
    add(archive, emotion(1, face(FIRST, "Fear", ("Fear", "awe"))))
    out, _ = tables(path)
    assert values(out / "observations.csv", "label", "p_fear", "p_joy", "p_awe") == [
        ("fear", "0.035714", "0.071429", ""),
        ("Fear", "0.035714", "", "0.071429"),
    ]
    assert values(out / "tracks.csv", "mean_fear", "mean_joy", "shown_fear", "shown_Fear") == [
        ("0.750000", "0.250000", "0.500000", "0.500000")
    ]


def test_several_runs_stay_apart(archive: ArchiveWriter, path: Path) -> None:
    add(archive, emotion(0, face(FIRST), run="late", t=5 * SECOND + 1))
    add(archive, emotion(0, face(FIRST), run="early", t=3 * SECOND), emotion(1, run="early"))
    add(archive, emotion(0, run="elsewhere", stream="cam2"))
    with ArchiveReader(path) as reader:
        runs = [run for run in reader.runs() if run.stream == "cam1"]
        write_tables(reader, runs, path.parent, formats=("csv",), live=True)
        assert [run.id for run in runs] == ["early", "late"]
    names = ("run", "seq", "time", "track")
    assert values(path.parent / "observations.csv", *names) == [
        ("early", "0", "1970-01-01T00:00:03.000000000Z", "1"),
        ("early", "1", "1970-01-01T00:00:00.000001001Z", ""),
        ("late", "0", "1970-01-01T00:00:05.000000001Z", "2"),
    ]
    assert values(path.parent / "tracks.csv", "run", "track", "time_on_screen_s") == [
        ("early", "1", "0.040000000"), ("late", "2", "0.000000000"),
    ]  # fmt: skip


def test_events_have_their_times(archive: ArchiveWriter, path: Path) -> None:
    add(archive, emotion(0), event("enter", 0, FIRST))
    add(archive, event("change", 25, FIRST, label="sad", previous="fear", since=SECOND // 2))
    add(archive, event("leave", 75, FIRST, label="sad", since=2 * SECOND))
    out, summary = tables(path)
    assert (out / "events.csv").read_text("utf-8").splitlines() == [
        "stream,seq,pts_s,track,kind,label,previous,confidence,since_s",
        "cam1,0,0.000000000,1,enter,fear,,0.750000,0.000000000",
        "cam1,25,1.000000000,1,change,sad,fear,0.750000,0.500000000",
        "cam1,75,3.000000000,1,leave,sad,,0.750000,2.000000000",
    ]
    assert summary.events == 3


def test_a_track_is_summed_up(archive: ArchiveWriter, path: Path) -> None:
    """Frames stand for the time until the next one, the last one for as long as that before."""
    times = (0, 0.5, 0.6, 0.7, 0.8)
    labels = ("happy", "happy", None, "sad", "sad")
    for seq, (time, label) in enumerate(zip(times, labels, strict=True)):
        faces = [face(FIRST, label)] if label else []
        add(archive, emotion(seq, *faces, pts=round(time * SECOND)))
    add(archive, event("change", 3, FIRST, label="sad", previous="happy"))
    add(archive, event("leave", 4, FIRST))
    out, _ = tables(path)
    (row,) = rows(out / "tracks.csv")
    assert list(row) == [
        *("stream", "track", "first_s", "last_s", "time_on_screen_s"),
        *("frames", "left_out_frames", "changes"),
        "mean_detection_score",
        *(f"mean_{label}" for label in SEVEN),
        *(f"shown_{label}" for label in SEVEN),
    ]
    assert list(row.values())[:9] == [
        "cam1", "1", "0.000000000", "0.800000000", "0.800000000", "4", "0", "1", "0.875000",
    ]  # fmt: skip
    assert row["mean_happy"] == row["mean_sad"] == f"{(0.75 + 0.25 / 6) / 2:.6f}"
    assert (row["shown_happy"], row["shown_sad"], row["shown_fear"]) == (
        "0.750000", "0.250000", "0.000000",
    )  # fmt: skip


def test_a_stall_is_no_time_on_screen(archive: ArchiveWriter, path: Path) -> None:
    """Nobody saw who was there for a minute; nor does time run back where the source does."""
    for seq, pts in enumerate((0, 60 * SECOND, 59 * SECOND, 60 * SECOND)):
        add(archive, emotion(seq, face(FIRST), pts=pts))
    out, _ = tables(path)
    assert values(out / "tracks.csv", "time_on_screen_s", "frames") == [("3.000000000", "4")]


def test_a_single_frame_has_shares_though_it_stands_for_no_time(
    archive: ArchiveWriter, path: Path
) -> None:
    add(archive, emotion(0, face(FIRST, "sad")))
    out, _ = tables(path)
    assert values(out / "tracks.csv", "time_on_screen_s", "shown_sad", "shown_fear") == [
        ("0.000000000", "1.000000", "0.000000")
    ]


def test_gaps_are_counted(archive: ArchiveWriter, path: Path) -> None:
    add(archive, *(emotion(seq) for seq in (2, 3, 7)))
    assert tables(path)[1].missing == 5
    add(archive, emotion(9, end=True, frames=10, error="the file is cut off"))
    out, summary = tables(path)
    assert (summary.missing, summary.runs) == (7, {"r1": "the file is cut off"})
    assert values(out / "observations.csv", "seq") == [("2",), ("3",), ("7",)]


def test_progress_is_told(archive: ArchiveWriter, path: Path) -> None:
    add(archive, *(emotion(seq) for seq in range(1_200)))
    told: list[int] = []
    tables(path, tell=told.append)
    assert told == [500, 1_000, 1_200]


def test_a_full_disk_leaves_no_half_table(archive: ArchiveWriter, path: Path) -> None:
    add(archive, *(emotion(seq, face(FIRST)) for seq in range(2_000)))
    out = fresh_folder(path.parent, "out")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ArchiveReader(path) as reader:
        runs = reader.runs()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            with pytest.raises(
                RecordingError, match=r"cannot write observations .*Free some space"
            ):
                write_tables(reader, runs, out, formats=("csv",))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(out.iterdir())


def test_what_is_read_is_of_one_moment(archive: ArchiveWriter, path: Path) -> None:
    add(archive, emotion(0, face(FIRST)))
    with ArchiveReader(path) as reader:
        (run,) = reader.runs()
        add(archive, emotion(1, face(OTHER)), event("enter", 1, OTHER))
        assert [frame.row.seq for frame in reader.recorded_frames(run)] == [0]
        assert not list(reader.event_rows(run))
        assert run.recorded == 1
    with ArchiveReader(path) as reader:
        assert reader.runs()[0].recorded == 2


def test_streams_can_be_read_side_by_side(archive: ArchiveWriter, path: Path) -> None:
    for stream in ("cam1", "cam2"):
        add(archive, *(emotion(seq, face(FIRST + seq), stream=stream) for seq in range(3)))
    with ArchiveReader(path) as reader:
        both = [reader.observation_rows(run) for run in reader.runs()]
        pairs = [(one.track, other.track) for one, other in zip(*both, strict=True)]
    assert pairs == [(1, 1), (2, 2), (3, 3)]


def test_reading_leaves_nothing_beside_a_database_at_rest(tmp_path: Path) -> None:
    path = tmp_path / "emostream.db"
    record(path, "r1", 10**18, 1_700_000_000)
    before = path.read_bytes()
    with ArchiveReader(path) as reader:
        assert len(list(reader.recorded_frames(*reader.runs()))) == 50
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_a_folder_that_may_not_be_written_in_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "emostream.db"
    record(path, "r1", 10**18, 1_700_000_000)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with ArchiveReader(path) as reader:
        assert reader.runs()[0].recorded == 50
        assert list(tmp_path.iterdir()) == [path]


def _execute(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda path: None, "no database", id="missing"),
        pytest.param(lambda path: path.write_bytes(b""), "is not a database of", id="empty"),
        pytest.param(lambda path: path.write_bytes(b"\x13" * 8192), "not a database", id="none"),
        pytest.param(lambda path: path.mkdir(), "unable to open", id="a folder"),
        pytest.param(
            lambda path: _execute(path, "CREATE TABLE notes (text)"),
            "is not a database of",
            id="another program's",
        ),
    ],
)
def test_what_is_no_recording_is_one_clear_error(path: Path, spoil: Any, says: str) -> None:
    spoil(path)
    with pytest.raises(RecordingError, match=rf"emostream\.db.*|{says}") as caught:
        ArchiveReader(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.exists() == (says != "no database")


@pytest.mark.parametrize(("version", "advice"), [(2, "to upgrade it"), (99, "release that wrote")])
def test_another_release_is_one_clear_error(
    archive: ArchiveWriter, path: Path, version: int, advice: str
) -> None:
    _execute(path, f"PRAGMA user_version = {version}")
    with pytest.raises(RecordingError, match=f"version {version} of the tables, not 4: .*{advice}"):
        ArchiveReader(path)


def test_a_face_without_its_frame_is_not_passed_over(archive: ArchiveWriter, path: Path) -> None:
    add(archive, emotion(0, face(FIRST)), emotion(1))
    _execute(path, "DELETE FROM frames WHERE seq = 0")
    with pytest.raises(RecordingError, match="damaged: frame 0 of run r1"):
        tables(path)


def test_a_damaged_database_is_one_clear_error(path: Path) -> None:
    record(path, "r1", 10**18, 1_700_000_000)
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 4096 * 20)
    with pytest.raises(RecordingError, match="cannot read the database"):
        tables(path)


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    names = [fresh_folder(tmp_path / "out", "cam1").name for _ in range(3)]
    assert names == ["cam1", "cam1-2", "cam1-3"]
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="cannot create"):
        fresh_folder(tmp_path / "file", "cam1")


def test_every_column_stands_in_the_documentation_and_no_other(
    archive: ArchiveWriter, path: Path
) -> None:
    add(archive, emotion(0, face(FIRST, "fear", ["fear"])))
    out, _ = tables(path, live=True)
    text = (Path(__file__).parents[2] / "docs" / "results.md").read_text("utf-8")
    for title, name in (
        ("Observations", "observations"),
        ("Events", "events"),
        ("Tracks", "tracks"),
    ):
        start = text.index("| column | unit | meaning |", text.index(f"## {title}"))
        lines = itertools.takewhile(lambda line: line.startswith("|"), text[start:].splitlines())
        named = [re.findall("`([^`]+)`", line.split("|")[1]) for line in lines]
        columns = [name.replace("<label>", "fear") for name in itertools.chain(*named)]
        header = (out / f"{name}.csv").read_text("utf-8").splitlines()[0]
        assert sorted(columns) == sorted(header.split(","))
