"""`emostream bench load`: the work that it gives, its steps, and the figures of these."""

import argparse
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from emostream.services.cli.bench.load.command import beyond, measure_all, parser
from emostream.services.cli.bench.load.figures import carried, facts, figures, table
from emostream.services.cli.bench.load.measurement import Point
from emostream.services.cli.bench.load.plot import plot_load
from emostream.services.cli.bench.load.source import back_and_forth, due_times
from emostream.services.cli.bench.load.work import Work, drawn, size
from emostream.services.cli.bench.result_file import ResultFile
from emostream.services.detector.backends import create, select

CAPACITY = 100.0


def measured(work: Work) -> Point:
    """What a pipeline does that answers 100 frames per second, the first stream fewer."""
    answered = min(work.offered, CAPACITY)
    each = answered / work.streams
    per_stream = [each] * work.streams
    if work.streams > 1 and work.offered > CAPACITY:
        per_stream[0] *= 0.5
    return Point(
        work=work,
        seconds=10.0,
        answered=answered,
        dropped_percent=100 * (1 - answered / work.offered),
        age_p50_ms=20.0,
        age_p99_ms=40.0,
        faces=1.0,
        per_stream=per_stream,
        cpu_percent={"detector": 50.0, "source": 5.0},
        idle_percent=10.0,
        dropped_by={},
    )


def options(*words: str) -> argparse.Namespace:
    return parser().parse_args(list(words))


def test_streams_are_added_step_by_step_and_then_four_times_the_most() -> None:
    given = options("--streams", "8", "2", "4", "--fps", "20", "--runs", "2")
    found = measure_all(given, measured)
    streams = [[point.work.streams for point in step] for step in found.steps]
    assert streams == [[2, 2], [4, 4], [8, 8]]
    (first, _) = found.overload
    assert first.work.offered == pytest.approx(4 * CAPACITY)
    assert first.work.streams == 20
    assert measure_all(options("--no-overload", "--streams", "1"), measured).overload == []


def test_streams_are_carried_until_frames_drop() -> None:
    found = measure_all(options("--streams", "2", "4", "5", "6", "--fps", "20"), measured)
    assert carried(found.steps, 0) == 5
    named = figures(found.steps, found.overload)
    assert named["streams before frames drop"].median == 5
    assert named["most answers"].median == CAPACITY
    assert named["overload: answers"].median == pytest.approx(100)
    assert named["overload: fairness"].median == pytest.approx(2)
    assert named["6 streams: dropped"].median == pytest.approx(16.67)
    assert named["source of the load: processor"].better == ""


def test_a_stream_without_answers_is_not_fair() -> None:
    point = measured(Work(2, 1, 320, 180, 5.0))
    starved = Point(**{**vars(point), "per_stream": [10.0, 0.0]})
    assert starved.unfairness > 1000


def test_a_table_and_a_plot_show_every_step(tmp_path: Path) -> None:
    found = measure_all(options("--streams", "2", "8", "--fps", "20"), measured)
    shown = table(found.steps, found.overload)
    assert shown.row_count == 3
    details = {
        "points": [[facts(point) for point in step] for step in found.steps],
        "overload": [facts(point) for point in found.overload],
    }
    results = ResultFile.of("emostream bench load", figures(found.steps, found.overload), details)
    results.write(tmp_path / "load.json")
    plot_load(ResultFile.read(tmp_path / "load.json"), tmp_path / "load.png")
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")


def test_more_is_more_streams_at_the_same_rate() -> None:
    assert beyond(Work(16, 1, 1280, 720, 25.0), 110.0) == Work(18, 1, 1280, 720, 25.0)


@pytest.mark.parametrize("in_step", [False, True])
def test_every_stream_has_its_rate(in_step: bool) -> None:
    due = list(itertools.takewhile(lambda one: one[0] < 2, due_times(4, 10, in_step=in_step)))
    assert Counter(stream for _, stream in due) == dict.fromkeys(range(4), 20)
    times = [at for at, _ in due]
    assert times == sorted(times)
    first = times[:4]
    assert first == ([0, 0, 0, 0] if in_step else pytest.approx([0, 0.025, 0.05, 0.075]))


def test_frames_are_played_back_and_forth() -> None:
    assert [back_and_forth(step, 3) for step in range(6)] == [0, 1, 2, 1, 0, 1]
    assert back_and_forth(5, 1) == 0


@pytest.mark.parametrize(
    ("text", "expected"), [("720p", (1280, 720)), ("VGA", (640, 480)), ("320x180", (320, 180))]
)
def test_sizes_are_names_or_numbers(text: str, expected: tuple[int, int]) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["8k", "0x720", "1280", "99999x9", "12x12"])
def test_a_wrong_size_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options("--size", text)
    assert "write WIDTHxHEIGHT, or one of" in capsys.readouterr().err


@pytest.mark.parametrize("faces", [1, 16])
def test_the_frames_show_as_many_faces_as_asked(faces: int, tmp_path: Path) -> None:
    path = drawn(Work(1, faces, 1280, 720, 2.0), tmp_path)
    frames = np.load(path)
    assert frames.shape == (4, 720, 1280, 3)
    assert (frames[0] != frames[-1]).any()
    found = create(select("auto")).detect(np.ascontiguousarray(frames[0]))
    assert len(found) == faces
    assert drawn(Work(1, faces, 1280, 720, 2.0), tmp_path) == path
