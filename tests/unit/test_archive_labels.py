"""The recorder's database with the labels of any model."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emostream.models.labels import LABELS
from emostream.services.recorder.archive.labels import MOST_LABELS
from emostream.services.recorder.archive.schema import FIXED, MEASURES, SCHEMA
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.errors import MessageError
from emostream.shared.messages import EmotionFace
from tests import builders
from tests.builders import emotion

SEVEN = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def face(*labels: str) -> EmotionFace:
    shares = {label: (1 + index) / 100 for index, label in enumerate(labels)}
    smoothed = dict.fromkeys(labels, 0.5)
    return builders.face(label=labels[0], probabilities=shares, smoothed=smoothed)


def read(path: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = connection.execute(query).fetchall()
    connection.close()
    return rows


def columns(path: Path) -> list[str]:
    return [name for (name,) in read(path, "SELECT name FROM pragma_table_info('observations')")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "emostream.db"


@pytest.fixture
def archive(path: Path) -> Iterator[ArchiveWriter]:
    archive = ArchiveWriter(path)
    yield archive
    archive.close()


def test_the_columns_are_those_of_the_model(archive: ArchiveWriter, path: Path) -> None:
    archive.add_emotion(emotion(0, face(*SEVEN), face(*SEVEN)))
    archive.commit()
    named = [f"{kind}_{label}" for kind in "ps" for label in SEVEN]
    assert columns(path)[-14:] == named
    row = (*((1 + index) / 100 for index in range(7)), *[0.5] * 7)
    assert read(path, f"SELECT {', '.join(named)} FROM observations") == [row, row]


def test_another_model_in_the_same_run_adds_its_columns(archive: ArchiveWriter, path: Path) -> None:
    archive.add_emotion(emotion(0, face(*LABELS)))
    archive.add_emotion(emotion(1, face(*SEVEN)))
    archive.commit()
    archive.add_emotion(emotion(2, face(*LABELS)))
    archive.commit()
    query = "SELECT seq, p_happiness, p_happy, p_fear, s_sad FROM observations ORDER BY rowid"
    assert read(path, query) == [
        (0, 0.02, None, 0.07, None),
        (1, None, 0.04, 0.03, 0.5),
        (2, 0.02, None, 0.07, None),
    ]


def test_a_file_of_another_model_is_added_to_by_the_next_start(path: Path) -> None:
    for seq, labels in enumerate((LABELS, SEVEN, LABELS)):
        archive = ArchiveWriter(path)
        archive.add_emotion(emotion(seq, face(*labels)))
        archive.close()
    query = "SELECT p_contempt IS NULL, p_sad IS NULL FROM observations ORDER BY seq"
    assert read(path, query) == [(0, 1), (1, 0), (0, 1)]


def test_a_file_of_the_release_before_goes_on(path: Path) -> None:
    """Its observations had a column for each of FER+'s eight labels, and no others."""
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    for column in ("score", *MEASURES, "left_out"):
        connection.execute(f"ALTER TABLE observations DROP COLUMN {column}")
    connection.executescript("ALTER TABLE runs DROP COLUMN error; DROP TABLE states")
    for kind in "ps":
        for label in LABELS:
            connection.execute(f"ALTER TABLE observations ADD COLUMN {kind}_{label} REAL")
    values = ("old", "r0", 0, 1, 2, 3, 0, 0, 9, 9, "fear", 0.5, *[0.25] * 16)
    connection.execute(f"INSERT INTO observations VALUES ({', '.join('?' * 28)})", values)
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    archive = ArchiveWriter(path)
    archive.add_emotion(emotion(1, face(*LABELS)))
    archive.add_emotion(emotion(2, face(*SEVEN)))
    archive.close()
    query = "SELECT stream, p_fear, p_sad FROM observations ORDER BY rowid"
    assert read(path, query) == [("old", 0.25, None), ("cam1", 0.07, None), ("cam1", 0.03, 0.06)]
    assert read(path, "PRAGMA user_version") == [(4,)], "so that the release before leaves it alone"


def test_capitals_and_odd_names_are_taken(archive: ArchiveWriter, path: Path) -> None:
    odd = ('very "happy"', "ängstlich", "a; DROP TABLE events", "not sad")
    archive.add_emotion(emotion(0, face("Happy", *odd)))
    archive.add_emotion(emotion(1, face("happy")))
    archive.commit()
    assert read(path, "SELECT p_happy FROM observations") == [(0.01,), (0.01,)]
    assert columns(path)[len(FIXED) + 1 :][:4] == [f"p_{label}" for label in odd]
    assert read(path, "SELECT count(*) FROM events") == [(0,)]


@pytest.mark.parametrize("label", ["", "x" * 65, "nul\0", "two\nlines"])
def test_a_label_that_can_be_no_column_is_refused_alone(
    archive: ArchiveWriter, path: Path, label: str
) -> None:
    archive.add_emotion(emotion(0, face("fear")))
    with pytest.raises(MessageError, match="label"):
        archive.add_emotion(emotion(1, face("fear"), face("fear", label)))
    archive.commit()
    assert read(path, "SELECT seq FROM frames") == [(0,)]
    assert read(path, "SELECT seq FROM observations") == [(0,)]


def test_labels_without_end_are_refused_and_the_rest_goes_on(
    archive: ArchiveWriter, path: Path
) -> None:
    archive.add_emotion(emotion(0, face(*(f"mood {number}" for number in range(MOST_LABELS)))))
    with pytest.raises(MessageError, match="exceeds the limit"):
        archive.add_emotion(emotion(1, face("one too many")))
    archive.add_emotion(emotion(2, face("mood 5")))
    archive.commit()
    assert read(path, "SELECT seq FROM observations") == [(0,), (2,)]
