"""The recorder's stage: what a user finds in the folder after messages went in."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np
import pytest
from prometheus_client import generate_latest

from emostream.shared.colors import COLORS, bgr
from emostream.shared.messages import Control, Credit, Emotion, Frame, Message
from tests import builders
from tests.builders import Clock, face
from tests.recorders import LiveRecorder

WIDTH, HEIGHT = 320, 180


class Rig:
    """A stage with its folder, the errors that it told of, and what was recorded."""

    def __init__(self, folder: Path, video: bool) -> None:
        self.folder = folder
        self.clock = Clock()
        recorder = LiveRecorder(folder, self.clock, video=video)
        self.stage, self.errors, self.registry = recorder.stage, recorder.errors, recorder.registry

    def give(self, *messages: Message) -> list[tuple[str, int]]:
        """Let the stage take the messages; return (stream, seq) of its credits."""
        return self.credits(self.stage(messages))

    def later(self, seconds: float) -> list[tuple[str, int]]:
        self.clock.now += seconds
        return self.credits(self.stage.idle(self.clock.now))

    def credits(self, messages: list[Message]) -> list[tuple[str, int]]:
        headers = [message.header for message in messages]
        assert all(isinstance(header, Credit) for header in headers)
        assert {message.topic.partition("/")[0] for message in messages} <= {"credit"}
        return [(header.stream, header.seq) for header in headers]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.folder / "emostream.db")
        rows = connection.execute(query).fetchall()
        connection.close()
        return rows

    def videos(self, stream: str = "cam1") -> list[Path]:
        return sorted((self.folder / stream).glob("*.mp4"))

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"emostream_recorder_{name}", labels)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, video=True)
    yield rig
    rig.stage.close()


@pytest.fixture
def rows_only(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, video=False)
    yield rig
    rig.stage.close()


def common(seq: int, stream: str, run: str) -> dict[str, Any]:
    t = 1_700_000_000 * 10**9 + seq * 40_000_000
    return {"stream": stream, "run": run, "seq": seq, "t": t, "pts": seq * 40_000_000, "marks": {}}


def frame(seq: int, stream: str = "cam1", run: str = "r1", width: int = WIDTH) -> Message:
    gray = builders.frame(width=width, height=HEIGHT, **common(seq, stream, run))
    return Message(gray.header, bytes([90]) * (width * HEIGHT * 3))


def emotion(
    seq: int, stream: str = "cam1", run: str = "r1", part: int = 0, parts: int = 1
) -> Message:
    found = (face(part + 1, "happiness", box=(100, 60, 80, 80)),)
    place = common(seq, stream, run)
    return Message(builders.emotion(**place, faces=found, part=part, parts=parts))


def event(seq: int) -> Message:
    return Message(builders.event(track=1, **common(seq, "cam1", "r1")))


def end(kind: Any, frames: int, run: str = "r1", **fields: Any) -> Message:
    return Message(kind(**common(frames, "cam1", run), end=True, frames=frames, **fields))


FRAME_END: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "encoding": "bgr8"}
EMOTION_END: dict[str, Any] = {"model": "m", "faces": (), "part": 0, "parts": 1, "degraded": False}


def pictures(path: Path) -> list[tuple[int, bool]]:
    """Return (frame number at 25/s, whether a box is drawn) of each picture of the file."""
    with av.open(path) as container:
        return [
            (
                round(picture.time * 25),
                bool(
                    np.abs(
                        picture.to_ndarray(format="bgr24")[140, 110:170].astype(int)
                        - bgr(COLORS["happiness"])
                    ).max(axis=1).min() < 60
                ),
            )
            for picture in container.decode(video=0)
        ]  # fmt: skip


def test_video_rows_and_credit_come_out(rig: Rig) -> None:
    assert rig.stage.pixel_topics == {"frame/"}
    for seq in range(10):
        rig.clock.now += 0.04
        rig.give(frame(seq))
        rig.give(event(seq), emotion(seq))
    assert rig.later(0.5) == [("cam1", 9)]
    rig.stage.close()
    (video,) = rig.videos()
    assert pictures(video) == [(seq, True) for seq in range(10)]
    assert rig.rows("SELECT seq, faces, whole FROM frames") == [(seq, 1, 1) for seq in range(10)]
    assert rig.rows("SELECT count(*) FROM observations") == [(10,)]
    assert rig.rows("SELECT count(*) FROM events") == [(10,)]
    assert rig.sample("video_frames_total", stream="cam1", results="whole") == 10
    assert rig.sample("rows_total", table="observations") == 10


def test_results_are_drawn_on_their_own_frame(rig: Rig) -> None:
    rig.give(frame(0), frame(1), frame(2), emotion(1))
    rig.later(1.0)
    rig.stage.close()
    (video,) = rig.videos()
    assert pictures(video) == [(0, False), (1, True), (2, False)]
    assert rig.sample("video_frames_total", stream="cam1", results="none") == 2


def test_without_video_no_frame_is_needed(rows_only: Rig) -> None:
    assert rows_only.stage.pixel_topics == set()
    assert rows_only.give(emotion(0), event(0), emotion(1)) == [("cam1", 1)]
    assert rows_only.rows("SELECT seq FROM observations") == [(0,), (1,)]
    assert rows_only.videos() == []


def test_credit_comes_only_after_the_commit(rows_only: Rig) -> None:
    assert rows_only.give(emotion(0)) == [("cam1", 0)]
    rows_only.clock.now += 0.1
    assert rows_only.give(emotion(1)) == []
    assert rows_only.rows("SELECT seq FROM frames") == [(0,)]
    assert rows_only.later(0.4) == [("cam1", 1)]
    assert rows_only.rows("SELECT seq FROM frames") == [(0,), (1,)]
    assert rows_only.later(1.0) == []


def test_credit_waits_for_all_parts(rows_only: Rig) -> None:
    assert rows_only.give(emotion(0, part=1, parts=2), emotion(1, part=1, parts=2)) == []
    rows_only.clock.now += 1
    assert rows_only.give(emotion(0, part=0, parts=2)) == [("cam1", 0)]
    assert rows_only.rows("SELECT seq, whole FROM frames") == [(0, 1), (1, 0)]


def test_credit_waits_for_the_video(rig: Rig) -> None:
    assert rig.give(emotion(5)) == []
    rig.clock.now += 1
    assert rig.give(frame(5), frame(6), emotion(6)) == [("cam1", 6)]


def test_an_answer_that_is_sent_again_counts_once(rows_only: Rig) -> None:
    rows_only.give(emotion(0), emotion(1))
    rows_only.give(emotion(0), emotion(1), emotion(2))
    rows_only.later(1.0)
    assert rows_only.rows("SELECT seq, faces FROM frames") == [(0, 1), (1, 1), (2, 1)]
    assert rows_only.rows("SELECT count(*) FROM observations") == [(3,)]


@pytest.mark.parametrize("leap", [900, 2**52])
def test_rows_go_on_after_an_answer_that_did_not_belong_to_them(rows_only: Rig, leap: int) -> None:
    forged = msgspec.structs.replace(emotion(2).header, seq=leap)
    rows_only.give(emotion(0), emotion(1), Message(forged))
    for seq in range(2, 8):
        rows_only.give(emotion(seq))
    rows_only.later(1)
    kept = [seq for (seq,) in rows_only.rows("SELECT seq FROM frames ORDER BY rowid")]
    assert kept == [0, 1, leap, 4, 5, 6, 7]
    assert rows_only.give(emotion(8)) == []
    assert rows_only.later(1) == [("cam1", 8)]


def test_a_stream_that_is_forgotten_leaves_only_its_rows_and_files(rig: Rig) -> None:
    for seq in range(3):
        rig.give(frame(seq), emotion(seq))
    rig.give(command("blur", True, "cam2"))
    rig.stage.forget("cam1")
    rig.stage.forget("cam2")
    rig.later(1)
    text = generate_latest(rig.registry).decode()
    assert "cam1" not in text
    (path,) = rig.videos()
    assert len(pictures(path)) == 3
    assert rig.rows("SELECT count(*) FROM frames") == [(3,)]
    rig.give(frame(3), emotion(3))
    assert rig.later(1) == [("cam1", 3)]
    # Who asked for a blur wants it also when the camera is there again.
    assert rig.sample("blurred", stream="cam2") == 1


def test_late_results_are_recorded_all_the_same(rig: Rig) -> None:
    rig.give(frame(0))
    rig.later(2.0)
    rig.give(emotion(0))
    rig.later(1.0)
    assert rig.rows("SELECT seq FROM observations") == [(0,)]


def test_streams_are_kept_apart(rig: Rig) -> None:
    rig.give(frame(0, "cam1"), frame(7, "cam2"), emotion(7, "cam2"), emotion(0, "cam1"))
    rig.clock.now += 1
    assert set(rig.give(frame(8, "cam2"), emotion(8, "cam2"))) == {("cam2", 8)}
    rig.stage.close()
    assert pictures(rig.videos("cam1")[0]) == [(0, True)]
    assert pictures(rig.videos("cam2")[0]) == [(0, True), (1, True)]


def test_a_restart_and_a_new_size_begin_new_files(rig: Rig) -> None:
    rig.give(frame(3), emotion(3), frame(0, run="r2"), emotion(0, run="r2"))
    rig.give(frame(1, run="r2", width=640), emotion(1, run="r2"))
    rig.stage.close()
    assert [pictures(video) for video in rig.videos()] == [[(0, True)]] * 3
    assert rig.rows("SELECT run, seq FROM frames") == [("r1", 3), ("r2", 0), ("r2", 1)]


def test_an_end_finishes_the_file_when_all_frames_are_written(rig: Rig) -> None:
    rig.give(frame(0), end(Frame, 1, **FRAME_END), end(Frame, 1, **FRAME_END))
    assert rig.videos() == [], "the frame still waits for its result"
    rig.give(emotion(0), end(Emotion, 1, **EMOTION_END))
    # The index of a finished file tells how many pictures it has.
    with av.open(rig.videos()[0]) as container:
        assert container.streams.video[0].frames == 1
    rig.later(1.0)
    assert rig.rows("SELECT run, frames FROM runs") == [("r1", 1)]


def test_a_silent_stream_has_its_file_finished(rig: Rig) -> None:
    rig.give(frame(0), emotion(0))
    rig.give(frame(1), emotion(1))
    rig.later(31.0)
    with av.open(rig.videos()[0]) as container:
        assert container.streams.video[0].frames == 2
    rig.give(frame(2), emotion(2))
    rig.stage.close()
    assert len(rig.videos()) == 2


def test_broken_input_is_told_and_survived(rig: Rig) -> None:
    header = Frame(**common(1, "cam1", "r1"), width=WIDTH, height=HEIGHT, encoding="jpeg")
    huge = Frame(**{**common(0, "cam2", "r"), "t": 2**63}, **FRAME_END)
    rig.give(frame(0), Message(header, b"no jpeg"), frame(2), Message(huge, frame(0).payload))
    rig.give(emotion(0), emotion(1), emotion(2))
    rig.stage.close()
    assert [error.reason for error in rig.errors] == ["header", "payload"]
    assert pictures(rig.videos()[0]) == [(0, True), (2, True)]


def test_a_stream_s_first_answer_may_be_one_that_cannot_be_stored(rig: Rig) -> None:
    fields = {**EMOTION_END, "faces": (face(2**63),)}
    assert rig.give(Message(Emotion(**common(0, "cam1", "r1"), **fields))) == []
    assert [error.reason for error in rig.errors] == ["header"]
    assert rig.give(frame(1), emotion(1)) == [("cam1", 1)]


def test_jpeg_frames_are_recorded(rig: Rig) -> None:
    header = Frame(**common(0, "cam1", "r1"), width=WIDTH, height=HEIGHT, encoding="jpeg")
    jpeg = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))[1].tobytes()
    rig.give(Message(header, jpeg), emotion(0))
    rig.stage.close()
    assert pictures(rig.videos()[0]) == [(0, True)]


def test_probes_are_ignored(rig: Rig) -> None:
    probe = Message(Frame(**common(0, "cam1", "r1"), **FRAME_END, probe=True, pid=5))
    assert rig.give(probe) == []
    rig.later(1.0)
    assert rig.videos() == []


def test_closing_writes_what_still_waits(rig: Rig) -> None:
    rig.give(frame(0), emotion(0), frame(1), frame(2))
    rig.stage.close()
    assert pictures(rig.videos()[0]) == [(0, True), (1, False), (2, False)]
    assert rig.rows("SELECT seq FROM frames") == [(0,)]


def command(name: str, on: Any, stream: str = "cam1") -> Message:
    fields = {**common(0, stream, "display"), "pts": 0}
    return Message(Control(**fields, command=name, arguments={"on": on}))


def test_a_command_begins_a_stream_s_video_and_ends_it_while_rows_go_on(rows_only: Rig) -> None:
    rig = rows_only
    rig.give(emotion(0), frame(0))
    assert rig.sample("recording", stream="cam1") == 0
    rig.give(command("record", True))
    assert rig.stage.pixel_topics == {"frame/cam1/"}
    assert rig.sample("recording", stream="cam1") == 1
    rig.give(frame(1), emotion(1), frame(2), emotion(2), frame(3))
    rig.give(command("record", False), emotion(3), frame(4), emotion(4))
    assert rig.stage.pixel_topics == set()
    assert rig.sample("recording", stream="cam1") == 0
    # Finished: the file has its index, and the frame that still waited is in it.
    (video,) = rig.videos()
    with av.open(video) as container:
        assert container.streams.video[0].frames == 3
    assert pictures(video) == [(0, True), (1, True), (2, False)]
    rig.later(1.0)
    assert rig.rows("SELECT seq FROM observations") == [(seq,) for seq in range(5)]


def test_a_second_recording_of_a_stream_is_a_second_file(rows_only: Rig) -> None:
    for seq in (0, 5):
        rows_only.give(command("record", True), command("record", True))
        rows_only.give(frame(seq), emotion(seq))
        rows_only.give(command("record", False), command("record", False))
    assert [pictures(video) for video in rows_only.videos()] == [[(0, True)], [(0, True)]]


def test_only_the_stream_that_is_named_changes(rig: Rig) -> None:
    rig.give(emotion(0, "cam1"), emotion(0, "cam2"))
    rig.give(command("record", False, "cam2"))
    assert rig.stage.pixel_topics == {"frame/cam1/"}
    rig.give(frame(1, "cam1"), frame(1, "cam2"), emotion(1, "cam1"), emotion(1, "cam2"))
    assert (len(rig.videos("cam1")), len(rig.videos("cam2"))) == (1, 0)
    # A stream that is new is recorded as configured, once its first result tells of it.
    rig.give(emotion(0, "cam3"))
    assert rig.stage.pixel_topics == {"frame/cam1/", "frame/cam3/"}
    rig.give(command("record", True, "cam2"))
    assert rig.stage.pixel_topics == {"frame/"}


def test_credit_waits_for_the_video_only_while_it_is_kept(rows_only: Rig) -> None:
    assert rows_only.give(command("record", True), emotion(0)) == []
    rows_only.clock.now += 1
    assert rows_only.give(command("record", False), emotion(1)) == [("cam1", 1)]


def sharpness(path: Path, left: int) -> float:
    """Return how much neighboring pixels of the first picture differ within 50 pixels."""
    with av.open(path) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="gray").astype(int)
    return float(np.abs(np.diff(picture[75:125, left : left + 50])).mean())


def noisy(seq: int, run: str = "r1") -> Message:
    header = Frame(**common(seq, "cam1", run), width=WIDTH, height=HEIGHT, encoding="bgr8")
    noise = np.random.default_rng(1).integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
    return Message(header, np.repeat(np.repeat(noise, 4, 0), 4, 1).tobytes())


def test_faces_are_blurred_in_the_video_after_the_command(rig: Rig) -> None:
    rig.give(noisy(0), emotion(0))
    rig.give(command("blur", True))
    assert rig.sample("blurred", stream="cam1") == 1
    rig.give(noisy(0, "r2"), emotion(0, run="r2"))
    rig.give(noisy(0, "r3"))
    rig.later(1.0)
    rig.give(command("blur", False))
    assert rig.sample("blurred", stream="cam1") == 0
    rig.give(noisy(0, "r4"), emotion(0, run="r4"))
    rig.stage.close()
    clear, blurred, unknown, again = rig.videos()
    face, elsewhere = 115, 10
    assert sharpness(clear, face) > 8
    assert sharpness(again, face) > 8
    assert sharpness(blurred, face) < 3
    assert sharpness(blurred, elsewhere) > 8
    # Without results of this run nobody knows where faces are.
    assert max(sharpness(unknown, face), sharpness(unknown, elsewhere)) < 3


def test_a_command_that_is_not_known_is_told_and_survived(rig: Rig) -> None:
    rig.give(command("fly", True), command("record", "maybe"), frame(0), emotion(0))
    rig.stage.close()
    assert [error.reason for error in rig.errors] == ["command", "command"]
    assert pictures(rig.videos()[0]) == [(0, True)]


def test_a_running_recording_tells_its_file_and_size(rig: Rig) -> None:
    assert rig.stage.recordings.recordings == []
    for seq in range(20):
        rig.give(frame(seq), emotion(seq))
    (recording,) = rig.stage.recordings.recordings
    (path,) = rig.videos()
    assert (recording.stream, recording.path) == ("cam1", str(path))
    assert 0 < recording.bytes <= path.stat().st_size
    rig.give(command("record", on=False))
    assert rig.stage.recordings.recordings == []
