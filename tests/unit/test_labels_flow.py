"""A model's labels on their way through every stage behind it: nothing else knows how many."""

import ast
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from emostream.services.cli.numbered_faces import NumberedFaces
from emostream.services.cli.subscribe.command import line
from emostream.services.display.display_state import DisplayState
from emostream.services.display.picture_encoding import picture_packet
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.annotate import annotate
from emostream.shared.blur import FaceBlur
from emostream.shared.colors import COLORS, bgr
from emostream.shared.control import StreamSwitch
from emostream.shared.join import Joined
from emostream.shared.messages import Emotion, Event, Frame, Message
from emostream.shared.wire import decode, encode
from tests.unit.test_classifier_stage import Bench, Model, faces

ROOT = Path(__file__).parents[2]
# FER2013's seven, in the order of the original program's model.
SEVEN = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
# What draws, trains or judges with FER+'s eight may know them; what is downstream may not.
DOWNSTREAM = ("classifier", "recorder", "display", "cli/subscribe", "cli/top", "cli/bench")


@pytest.fixture
def answers() -> list[Message]:
    """What goes out for a frame with two faces, as it arrives elsewhere."""
    bench = Bench(model=Model(SEVEN, "original"))
    given = bench.stage([faces(0, 7, 8, label=3)])
    assert bench.metric("emotions_total", label="happy") == 2
    assert bench.metric("emotions_total", label="sad") == 0
    return [decode(encode(message)) for message in given]


def emotion_of(messages: list[Message]) -> Emotion:
    (emotion,) = (m.header for m in messages if isinstance(m.header, Emotion))
    return emotion


def joined(emotion: Emotion) -> Joined:
    fields = {name: getattr(emotion, name) for name in ("stream", "run", "seq", "t", "pts")}
    frame = Frame(**fields, marks={}, width=64, height=48, encoding="bgr8")
    return Joined(Message(frame, bytes(64 * 48 * 3)), (emotion,), True)


def test_the_topic_names_them_in_the_models_order(answers: list[Message]) -> None:
    face = emotion_of(answers).faces[0]
    assert tuple(face.probabilities) == tuple(face.smoothed) == SEVEN
    assert face.label == "happy"
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert [m.header.label for m in answers if isinstance(m.header, Event)] == ["happy"] * 2


def test_the_recorder_keeps_them(answers: list[Message], tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "emostream.db")
    archive.add_emotion(emotion_of(answers))
    archive.close()
    connection = sqlite3.connect(tmp_path / "emostream.db")
    columns = ", ".join(f"p_{label}" for label in SEVEN)
    rows = connection.execute(f"SELECT label, {columns} FROM observations").fetchall()
    connection.close()
    assert [(label, round(sum(shares), 5)) for label, *shares in rows] == [("happy", 1.0)] * 2


def test_the_page_is_told_them_with_their_colors(answers: list[Message]) -> None:
    state = DisplayState()
    state.add_results(emotion_of(answers))
    assert [look.label for look in state.update(0).labels] == list(SEVEN)
    assert state.update(0).labels[3].color == COLORS["happiness"]
    data = picture_packet(joined(emotion_of(answers)), b"jpeg", FaceBlur(StreamSwitch(False)))
    facts = json.loads(data[4 : 4 + int.from_bytes(data[:4], "big")])
    assert list(facts["faces"][0]["smoothed"]) == list(SEVEN)


def test_the_video_has_their_colors(answers: list[Message]) -> None:
    drawn = annotate(np.full((480, 640, 3), 90, np.uint8), emotion_of(answers).faces)
    assert (drawn == bgr(COLORS["happiness"])).all(axis=2).any()


def test_a_terminal_shows_them(answers: list[Message]) -> None:
    assert "#1 happy 86%, #2 happy 86%" in line(Message(emotion_of(answers)), NumberedFaces()).plain


@pytest.mark.parametrize("place", DOWNSTREAM)
def test_nothing_downstream_imports_a_list_of_labels(place: str) -> None:
    files = sorted((ROOT / "services" / place).rglob("*.py"))
    assert files
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module != "emostream.models.labels", file
                assert "LABELS" not in [alias.name for alias in node.names], file
