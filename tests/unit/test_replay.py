"""A replay says again what was recorded: the same rows, at the same pace, with its pictures."""

import argparse
import io
import logging
import math
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.replay.command import add_options, replay
from emostream.services.cli.replay.schedule import LONGEST_PAUSE, duration, paced, scheduled
from emostream.services.cli.replay.selection import Selection, select
from emostream.services.cli.replay.sent import SentMessages
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.schema import DATABASE
from emostream.services.recorder.encoding import best_encoder
from emostream.services.recorder.stream_recording import StreamRecording
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.errors import ConfigError, RecordingError
from emostream.shared.messages import Emotion, EmotionFace, Event, Frame, Message
from emostream.shared.pixels import image
from emostream.shared.wire import decode, encode
from tests import builders
from tests.builders import Clock
from tests.recorders import LiveRecorder

MS = 1_000_000
T = 1_760_000_000 * 10**9
LABELS = ("neutral", "happiness", "fear")
RUNS = "SELECT run FROM runs GROUP BY run ORDER BY min(began)"


def header(seq: int, stream: str = "cam1", run: str = "r1", **changes: Any) -> dict[str, Any]:
    pts = changes.pop("pts", seq * 40 * MS)
    t = changes.pop("t", T + pts)
    return {"stream": stream, "run": run, "seq": seq, "t": t, "pts": pts, "marks": {}, **changes}


def face(track: int, seq: int, labels: tuple[str, ...]) -> EmotionFace:
    probabilities = {name: (seq + n) / 700 for n, name in enumerate(labels)}
    smoothed = {name: track / (9 + n) for n, name in enumerate(labels)}
    box = (1.5 * track, 2.0, 30.25, 40.0)
    return EmotionFace(track, box, probabilities, smoothed, labels[seq % len(labels)], 0.3, 0.875)


def emotion(seq: int, *tracks: int, labels: tuple[str, ...] = LABELS, **changes: Any) -> Message:
    faces = tuple(face(track, seq, labels) for track in tracks)
    return Message(builders.emotion(**header(seq, **changes), faces=faces))


def event(seq: int, kind: str, track: int, **changes: Any) -> Message:
    values = {"track": track, "since": 40, **header(seq, **changes)}
    return Message(builders.event(kind=kind, **values))


def end(frames: int, **changes: Any) -> Message:
    return emotion(frames, end=True, frames=frames, **changes)


def record(folder: Path, *messages: Message) -> Path:
    """Return the database that a recorder makes of the messages, as they come from the bus."""
    folder.mkdir(parents=True, exist_ok=True)
    recorder = LiveRecorder(folder, time.monotonic)
    recorder.stage([decode(encode(message)) for message in messages])
    recorder.stage.close()
    assert not recorder.errors
    return folder / DATABASE


def rows(path: Path, table: str, order: str = "stream, run, seq") -> list[dict[str, Any]]:
    """Return a table's rows without what a replay changes: `t`, and the run's id."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    numbers = {run: number for number, (run,) in enumerate(connection.execute(RUNS))}
    found = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
    connection.close()
    for row in found:
        row["run"] = numbers[row["run"]]
        row.pop("t", row.pop("began", None))
    return sorted(found, key=lambda row: [row[name] for name in order.split(", ")])


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(words)


def chosen(path: Path, *words: str) -> Selection:
    return select(options(str(path), *words))


def replayed(path: Path, *words: str) -> list[Message]:
    """Return all messages of a replay, as quickly as it goes."""
    messages: list[Message] = []
    replay(chosen(path, *words), messages.append, math.inf)
    return messages


def told(messages: list[Message]) -> list[tuple[str, int]]:
    return [(message.topic.partition("/")[0], message.header.seq) for message in messages]


EVERYTHING = (
    event(0, "enter", 7), emotion(0, 7, 8),
    emotion(1),
    # Frame 2 was lost; another model takes over, and one of two parts does not answer.
    event(3, "change", 8, previous="neutral", confidence=0.25),
    emotion(3, 7, 9, labels=("neutral", "boredom"), parts=2, part=1, model="other"),
    emotion(4, 7, parts=2, part=1), emotion(4, 8, parts=2, part=0),
    emotion(5, degraded=True),
    event(5, "leave", 7, since=160 * MS),
    end(9, error="ends early at 0.36 s"),
    # The next run of the stream was cut off, another stream continued next to it.
    emotion(0, 5, run="r2", t=T + 3_000 * MS), emotion(1, 5, run="r2", t=T + 3_040 * MS),
    event(0, "enter", 3, stream="door", run="r2", t=T + 3_010 * MS),
    emotion(0, 3, stream="door", run="r2", t=T + 3_010 * MS), end(1, stream="door", run="r2"),
)  # fmt: skip


def test_what_is_recorded_of_a_replay_is_what_was_recorded(tmp_path: Path) -> None:
    path = record(tmp_path / "one", *EVERYTHING)
    again = record(tmp_path / "two", *replayed(path))
    assert rows(again, "frames") == rows(path, "frames")
    in_order = "stream, run, seq, track"
    assert rows(again, "observations", in_order) == rows(path, "observations", in_order)
    assert rows(again, "events", in_order) == rows(path, "events", in_order)
    # The run that was cut off has ended now.
    assert rows(path, "runs", "stream, run")[1]["frames"] is None
    expected = [{**row, "frames": row["frames"] or 2} for row in rows(path, "runs", "stream, run")]
    assert rows(again, "runs", "stream, run") == expected


def test_a_replay_is_a_new_run_of_the_same_frames(tmp_path: Path) -> None:
    path = record(tmp_path, *EVERYTHING)
    first, second = replayed(path), replayed(path)
    runs = {message.header.run for message in first}
    assert len(runs) == 2
    assert not runs & {"r1", "r2", *(message.header.run for message in second)}
    cam1, door = ([m.header.run for m in first if m.header.stream == s] for s in ("cam1", "door"))
    assert cam1[-1] == door[0] != cam1[0]
    assert all(message.header.t > T + 10**9 for message in first)
    assert [m.header.pts for m in first if m.header.stream == "door"] == [0, 0, 0]


def test_events_come_before_the_emotions_of_their_frame_and_a_last_leave_after(
    tmp_path: Path,
) -> None:
    given = (
        event(0, "enter", 7), emotion(0, 7),
        event(1, "leave", 8), event(1, "change", 7), emotion(1, 7), event(1, "leave", 7), end(2),
    )  # fmt: skip
    messages = replayed(record(tmp_path, *given))
    assert told(messages) == [
        ("event", 0), ("emotion", 0),
        ("event", 1), ("event", 1), ("emotion", 1), ("event", 1), ("emotion", 2),
    ]  # fmt: skip
    last = messages[-2].header
    assert isinstance(last, Event)
    assert (last.kind, last.track) == ("leave", 7)
    assert messages[-1].header.end
    assert messages[-1].header.frames == 2


def test_events_whose_frames_are_gone_are_told(tmp_path: Path) -> None:
    messages = replayed(record(tmp_path, event(4, "enter", 7), event(6, "leave", 7)))
    assert told(messages) == [("event", 4), ("event", 6), ("emotion", 7)]


def test_faces_are_dealt_to_the_parts_as_by_the_detector(tmp_path: Path) -> None:
    given = (emotion(0, 4, 6, parts=2, part=0), emotion(0, 7, parts=2, part=1), end(1, parts=2))
    messages = [message.header for message in replayed(record(tmp_path, *given))]
    assert all(isinstance(header, Emotion) for header in messages)
    dealt = [(h.part, h.end, [f.track for f in h.faces]) for h in messages]  # type: ignore[union-attr]
    assert dealt == [(0, False, [4, 6]), (1, False, [7]), (0, True, []), (1, True, [])]


def times(path: Path, *words: str) -> list[tuple[str, int, int]]:
    """Return stream, seq, and time in the session in ms of each frame and end."""
    selection = chosen(path, *words)
    with ArchiveReader(path) as reader:
        due = list(scheduled(reader, selection.runs))
        assert duration(reader, selection.runs) == due[-1][0]
    return [(step.run.stream, step.seq, at // MS) for at, step in due]


def test_streams_are_merged_by_time_and_time_goes_by_pts(tmp_path: Path) -> None:
    def at(seq: int, pts: int, stream: str, t: int) -> Message:
        return emotion(seq, stream=stream, pts=pts * MS, t=T + t * MS)

    # The machine was busy, and took frame 1 of stream a late: it shows when it was, all the same.
    given = (at(0, 500, "a", 0), at(1, 600, "a", 190), at(0, 0, "b", 50), at(1, 20, "b", 70))
    path = record(tmp_path, *given)
    merged = [("a", 0, 0), ("b", 0, 50), ("b", 1, 70), ("b", 2, 70), ("a", 1, 100), ("a", 2, 100)]
    assert times(path) == merged
    assert times(path, "--stream", "b") == [("b", 0, 0), ("b", 1, 20), ("b", 2, 20)]


def test_pauses_are_shortened_and_runs_follow_one_another(tmp_path: Path) -> None:
    pause = LONGEST_PAUSE // MS
    given = (
        emotion(0), emotion(1, pts=3_600_000 * MS), emotion(2, pts=3_600_100 * MS),
        # It was analyzed in less time than it lasts, so that the next run began before its end.
        emotion(0, run="r2", t=T + 5 * MS), emotion(1, run="r2", t=T + 6 * MS),
        emotion(0, run="r3", t=T + 10**18),
    )  # fmt: skip
    assert [at for _, _, at in times(record(tmp_path, *given))] == [
        0, pause, pause + 100, pause + 100,
        pause + 100, pause + 140, pause + 140,
        2 * pause + 140, 2 * pause + 140,
    ]  # fmt: skip


def test_a_source_whose_clock_is_set_back_goes_on(tmp_path: Path) -> None:
    given = (emotion(0, pts=80 * MS), emotion(1, pts=120 * MS), emotion(2, pts=0), emotion(3))
    assert [at for _, _, at in times(record(tmp_path, *given))] == [0, 40, 40, 160, 160]


class LateClock(Clock):
    """A clock on which sleeping takes 3 ms longer than it should."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds + 0.003)


@pytest.mark.parametrize("speed", [1.0, 4.0, 0.5])
def test_the_pace_does_not_drift(speed: float) -> None:
    clock = LateClock()
    due = [(n * 40 * MS, n) for n in range(1_000)]
    given = [clock.now - 100.0 for _ in paced(due, speed, clock, clock.sleep)]
    late = [at - n * 0.04 / speed for n, at in enumerate(given)]
    assert max(late) == pytest.approx(0.003)
    assert min(late) >= 0


def test_after_a_long_hold_up_nothing_is_made_up_for() -> None:
    clock = LateClock()
    given = []
    for _, n in paced([(n * 1_000 * MS, n) for n in range(4)], 1.0, clock, clock.sleep):
        given.append(round(clock.now - 100.0))
        clock.now += 60.0 if n == 1 else 0.5
    assert given == [0, 1, 61, 62]


def test_as_quickly_as_it_goes_never_waits() -> None:
    due = [(n * 10**12, n) for n in range(10)]

    def sleep(seconds: float) -> NoReturn:
        pytest.fail(f"waited for {seconds} s")

    assert list(paced(due, math.inf, sleep=sleep)) == due


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--stream", "cam9"], "cam9.*cam1, door"),
        (["--run", "r9"], "r9.*r2.*r1"),
        (["--stream", "door", "--run", "r1"], "r1.*r2 .door"),
        (["--as", "stage"], "--as stage.*--stream"),
        (["--stream", "door", "--as", "no name"], "no name.*cam1 or door_2"),
        (["--video", "x.mp4"], "x.mp4.*--stream"),
        (["--video", "x.mp4", "--stream", "cam1"], "x.mp4: no such file"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    tmp_path: Path, words: list[str], what: str
) -> None:
    path = record(tmp_path, *EVERYTHING)
    with pytest.raises(ConfigError, match=what):
        chosen(path, *words)


def test_one_stream_one_run_and_another_name(tmp_path: Path) -> None:
    path = record(tmp_path, *EVERYTHING)
    messages = replayed(path, "--stream", "cam1", "--run", "r2", "--as", "stage")
    assert [message.topic for message in messages] == ["emotion/stage/"] * 3
    assert [message.header.seq for message in messages] == [0, 1, 2]


def test_a_database_is_named_by_its_folder_or_a_table_beside_it(tmp_path: Path) -> None:
    path = record(tmp_path, *EVERYTHING)
    for name in (tmp_path, tmp_path / "observations.parquet", tmp_path / "events.csv"):
        assert chosen(name).path == path


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(ConfigError, match=r"clip\.mp4: not a database.*emostream analyze.*capture"):
        chosen(video)
    with pytest.raises(ConfigError, match=r"observations\.csv.*emostream\.db"):
        chosen(tmp_path / "observations.csv")
    with pytest.raises(RecordingError, match="missing"):
        chosen(tmp_path / "missing.db")
    with pytest.raises(RecordingError, match="no frames or events to replay"):
        chosen(record(tmp_path, end(0)))


def test_a_source_that_gave_nothing_ends_again(tmp_path: Path) -> None:
    path = record(tmp_path, end(0, error="no picture"), emotion(0, stream="cam2"))
    first = replayed(path, "--stream", "cam1")
    assert [(m.header.end, m.header.frames, m.header.error) for m in first] == [
        (True, 0, "no picture")
    ]


def write_video(write: Callable[[Frame, Any], None], *frames: int) -> None:
    """Write pictures at the times of the frames, each of which shows its number."""
    for seq in frames:
        values = header(seq, pts=uneven(seq), t=T + uneven(seq))
        picture = np.empty((48, 65, 3), np.uint8)
        picture[:, :32], picture[:, 32:] = (20 + 20 * digit for digit in divmod(seq, 10))
        write(Frame(**values, width=65, height=48, encoding="bgr8"), picture)


def uneven(seq: int) -> int:
    """Return a pts, ns, as a camera gives it: no two frames are equally far apart."""
    return seq * 40 * MS + int(np.random.default_rng(seq).integers(13 * MS))


def shown(messages: list[Message]) -> dict[int, int]:
    """Return the number in the picture that comes with each seq."""
    found = {}
    for message in messages:
        if isinstance(message.header, Frame) and message.header.is_data:
            picture = image(message)
            tens, ones = np.median(picture[:, :32]), np.median(picture[:, 32:])
            found[message.header.seq] = round((tens - 20) / 20) * 10 + round((ones - 20) / 20)
    return found


def test_recorded_pictures_come_with_their_frames(tmp_path: Path) -> None:
    seen = [seq for seq in range(100) if seq % 10]
    path = record(tmp_path, *(emotion(n, 7, pts=uneven(n), t=T + uneven(n)) for n in seen))
    # It began late, with a frame that was not answered, and was cut into two files.
    video = StreamRecording(tmp_path / "cam1", best_encoder())
    write_video(video.write, *range(30, 60))
    video.close()
    write_video(video.write, *range(60, 90))
    video.close()
    messages = replayed(path)
    assert shown(messages) == {seq: seq for seq in seen if 30 <= seq < 90}
    first = messages[told(messages).index(("frame", 31)) :]
    assert told(first)[:2] == [("frame", 31), ("emotion", 31)]
    assert [told([m]) for m in messages if m.header.end] == [[("frame", 100)], [("emotion", 100)]]
    assert not shown(replayed(path, "--no-video"))


def test_pictures_of_another_run_are_not_taken(tmp_path: Path) -> None:
    path = record(tmp_path, *(emotion(n, 7, run="r2", pts=uneven(n)) for n in range(20)))
    video = StreamRecording(tmp_path / "cam1", best_encoder())
    write_video(video.write, *range(20))
    video.close()
    assert not shown(replayed(path))


def test_the_analyzed_file_gives_the_pictures(tmp_path: Path) -> None:
    with VideoFile(tmp_path / "clip.mp4", 65, 48, best_encoder()) as video:
        write_video(lambda frame, picture: video.write(picture, frame.pts), *range(40))
    # One in three was analyzed.
    seen = [n for n in range(40) if n % 3 == 0]
    times = [uneven(n) - uneven(0) for n in seen]
    path = record(tmp_path, *(emotion(seq, pts=pts) for seq, pts in enumerate(times)), end(14))
    assert shown(replayed(path, "--video", str(tmp_path / "clip.mp4"))) == dict(enumerate(seen))
    assert not shown(replayed(path))
    bytes_then = (tmp_path / "clip.mp4").stat().st_size
    facts = {"path": str(tmp_path / "clip.mp4"), "bytes": bytes_then}
    RunFile(run="r1", stream="cam1", input=facts, model={}, config={}).write(tmp_path)
    assert shown(replayed(path)) == dict(enumerate(seen))
    (tmp_path / "clip.mp4").write_bytes(b"another")
    assert not shown(replayed(path))


def test_a_video_that_breaks_off_is_said_and_the_rest_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("emostream"), "propagate", True)
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    path = record(tmp_path, emotion(0, 7), end(1))
    messages = replayed(path, "--video", str(tmp_path / "clip.mp4"))
    assert [kind for kind, _ in told(messages)] == ["emotion", "frame", "emotion"]
    assert "clip.mp4: damaged" in caplog.text


class Terminal(io.StringIO):
    """What a terminal shows."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("out", [Terminal(), io.StringIO()])
def test_a_terminal_sees_how_far_it_is_and_a_log_what_was_sent(
    tmp_path: Path,
    out: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Not to the root's handlers: one of another test may write to what is closed.
    monkeypatch.setattr(logging.getLogger("emostream"), "propagate", False)
    monkeypatch.setattr(logging.getLogger("emostream"), "handlers", [caplog.handler])
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("TERM", "xterm")
    path = record(tmp_path, *(emotion(n, pts=n * 1000 * MS) for n in range(4)), end(4))
    with caplog.at_level(logging.INFO, "emostream"):
        replayed(path)
    assert "replayed 4 emotion, 1 end in " in caplog.text
    if out.isatty():
        assert "3/3 s" in out.getvalue()
        assert "5 messages" in out.getvalue()
    else:
        assert not out.getvalue()


def test_what_was_sent_is_counted_by_kind() -> None:
    clock = LateClock()
    sent = SentMessages(clock)
    for n in range(100):
        clock.now += 0.035
        sent.add(emotion(n))
    assert sent.total == 100
    assert str(sent) == "100 emotion in 3.5 s"
