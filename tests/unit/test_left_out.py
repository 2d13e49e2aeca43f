"""What is made of faces that are left out: rows, and nothing else; and how many there were."""

import csv
from pathlib import Path

import msgspec
import numpy as np
import pytest

from emostream.services.cli.numbered_faces import NumberedFaces
from emostream.services.cli.replay.steps import replay_steps, step_messages
from emostream.services.cli.results.report.history import run_history
from emostream.services.cli.results.tables.recording import write_tables
from emostream.services.cli.subscribe.command import line
from emostream.services.display.display_state import DisplayState
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.annotate import LEFT_OUT, annotate
from emostream.shared.left_out import left_out_text
from emostream.shared.messages import Emotion, EmotionFace, LeftOut, Message, Quality
from tests.builders import emotion, event, face

QUALITY = Quality(13.0, 0.25, 0.5, 0.125, 0.0625, None, -4.5, 90.0, 0.75, 0.5)
SURE, POOR, NEW = 2, 1, 3
SECOND = 10**9


def left_out(track: int, why: LeftOut = "quality") -> EmotionFace:
    shown = face(track, "anger", quality=QUALITY, left_out=why)
    return msgspec.structs.replace(shown, label="", confidence=0.0)


@pytest.fixture
def session() -> list[Emotion]:
    """Four frames: a face that counts and is left out in two of them, and two that never count."""
    poor, new = left_out(POOR), left_out(NEW, "new")
    return [
        emotion(0, poor, left_out(SURE, "new"), pts=0),
        emotion(1, poor, face(SURE, quality=QUALITY), pts=SECOND),
        emotion(2, new, left_out(SURE), pts=2 * SECOND),
        emotion(3, new, face(SURE), pts=3 * SECOND),
    ]


@pytest.fixture
def reader(tmp_path: Path, session: list[Emotion]) -> ArchiveReader:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    archive.add_event(event(1, track=SURE, pts=SECOND))
    for header in session:
        archive.add_emotion(header)
    archive.end_run(emotion(4, end=True, frames=4))
    archive.close()
    return ArchiveReader(tmp_path / "emostream.db")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_face_has_its_row_and_only_one_counts(reader: ArchiveReader, tmp_path: Path) -> None:
    summary = write_tables(reader, reader.runs(), tmp_path, formats=["csv"])
    assert (summary.faces, summary.tracks) == (8, 1)
    assert summary.left_out == {"quality": 3, "new": 3}
    found = rows(tmp_path / "observations.csv")
    shown = [(row["seq"], row["track"], row["left_out"], row["label"]) for row in found]
    assert shown == [
        *(("0", "1", "new", ""), ("0", "2", "quality", "")),
        *(("1", "1", "", "fear"), ("1", "2", "quality", "")),
        *(("2", "1", "quality", ""), ("2", "3", "new", "")),
        *(("3", "1", "", "fear"), ("3", "3", "new", "")),
    ]
    assert [row["confidence"] == "" for row in found] == [bool(row["left_out"]) for row in found]
    assert all(row["p_anger"] for row in found)
    measured = [found[1][name] for name in ("size_px", "sharpness", "contrast", "cut", "quality")]
    assert measured == ["13.000", "0.250000", "0.125000", "0.750000", "0.500000"]
    assert [found[1][name] for name in ("yaw", "pitch", "roll")] == ["", "-4.50", "90.00"]
    assert found[-2]["quality"] == "", "which nobody measured"


def test_a_track_is_summed_up_without_them(reader: ArchiveReader, tmp_path: Path) -> None:
    write_tables(reader, reader.runs(), tmp_path, formats=["csv"])
    (track,) = rows(tmp_path / "tracks.csv")
    named = ("track", "frames", "left_out_frames", "shown_fear", "shown_anger", "mean_anger")
    assert [track[name] for name in named] == ["1", "4", "2", "1.000000", "0.000000", "0.000000"]


def test_the_report_counts_them_and_shows_nothing_of_them(reader: ArchiveReader) -> None:
    history = run_history(reader, reader.runs()[0])
    assert list(history.faces) == [1]
    assert (history.faces[1].frames, list(history.faces[1].shown)) == (2, ["fear"])
    assert history.left_out == {"quality": 3, "new": 3}
    assert history.empty == 0, "a frame with a face that cannot be judged is not without one"


def test_a_replay_sends_them_as_they_were(reader: ArchiveReader, session: list[Emotion]) -> None:
    (run,) = reader.runs()
    sent = [
        message.header
        for step in replay_steps(reader, run)
        for message in step_messages(step, reader.labels, "cam1", "r", 0)
    ]
    replayed = [one for one in sent if isinstance(one, Emotion) and one.is_data]
    assert [sorted(one.faces, key=lambda face: face.track) for one in replayed] == [
        sorted(one.faces, key=lambda face: face.track) for one in session
    ]


def test_the_page_s_state_counts_them_and_its_timeline_has_none(session: list[Emotion]) -> None:
    state = DisplayState()
    for header in session:
        state.add_results(header)
    update = state.update(0)
    assert (update.streams["cam1"].faces_seen, update.streams["cam1"].left_out) == (
        8,
        {"quality": 3, "new": 3},
    )
    assert {(track, label) for track, _, _, label, _ in update.spans["cam1"]} == {(SURE, "fear")}


def test_a_face_that_cannot_be_judged_is_outlined_without_a_word() -> None:
    gray = np.full((360, 640, 3), 90, np.uint8)
    box = (200.0, 150.0, 100.0, 120.0)
    drawn = annotate(gray, [face(box=box, label="", confidence=0, left_out="quality")])
    assert tuple(drawn[210, 200]) == LEFT_OUT
    changed = np.argwhere((drawn != gray).any(axis=2))
    assert changed[:, 0].min() >= 149, "there is no strip with a label above it"
    new = annotate(gray, [face(box=box, label="", confidence=0, left_out="new")])
    assert (new == gray).all(), "a track is shown once it has entered"


def test_the_terminal_says_why_a_face_was_left_out() -> None:
    text = line(Message(emotion(3, left_out(7), left_out(8, "new"))), NumberedFaces()).plain
    assert text.endswith("#1 left out: low quality, #2 left out: track too new")


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"quality": 0, "new": 0}, ""),
        ({"quality": 1, "new": 0}, "1 face left out (1 low quality)"),
        (
            {"quality": 1200, "new": 34},
            "1,234 faces left out (1,200 low quality, 34 track too new)",
        ),
    ],
)
def test_how_many_in_words(counts: dict[str, int], text: str) -> None:
    assert left_out_text(counts) == text
