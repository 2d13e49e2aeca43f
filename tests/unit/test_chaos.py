"""The benchmark of faults: its plan, its limits, and what it looks at afterward."""

import itertools
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.chaos.command import HUNG_AFTER, chaos_config
from benchmarks.chaos.disturbance import Disturbance, recovery_limit
from benchmarks.chaos.findings import missing_rows, unreadable_videos
from benchmarks.chaos.observer import Observer
from benchmarks.chaos.plan import PAUSE_S, Fault, Kind, faults
from benchmarks.chaos.view import Outcome, rows
from emostream.services.cli.processes.stages import STAGES
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.config import Classifier, Config
from emostream.shared.frame_counts import FrameCounts
from emostream.shared.messages import Credit, Message
from tests import builders


def planned(seed: int, *, disk: bool = True) -> list[Fault]:
    return list(itertools.islice(faults(seed, 600, disk=disk), 60))


def test_a_seed_gives_the_same_faults_again() -> None:
    assert planned(1) == planned(1)
    assert planned(1) != planned(2)


def test_every_process_gets_every_fault_and_the_recorder_s_files_one_each() -> None:
    plan = [fault for seed in range(10) for fault in planned(seed)]
    assert {(fault.kind, fault.stage) for fault in plan if fault.kind.is_of_process} == set(
        itertools.product([Kind.KILL, Kind.TERMINATE, Kind.STOP], STAGES)
    )
    assert all(PAUSE_S[0] <= fault.pause <= PAUSE_S[1] for fault in plan)
    counts = Counter(fault.kind for fault in planned(0))
    assert counts[Kind.FULL_DISK] == counts[Kind.LOCKED_DATABASE] == 1
    without = Counter(fault.kind for fault in planned(0, disk=False))
    assert (without[Kind.FULL_DISK], without[Kind.LOCKED_DATABASE]) == (0, 1)


@pytest.mark.parametrize(
    ("kind", "stage", "classifier", "limit"),
    [
        (Kind.KILL, "detector", {}, 5),
        (Kind.KILL, "classifier", {}, 5),
        (Kind.KILL, "classifier", {"engine": "keras"}, 10),
        (Kind.TERMINATE, "classifier", {"model": "my.h5"}, 10),
        (Kind.KILL, "classifier", {"engine": "litert", "model": "my.tflite"}, 5),
        (Kind.KILL, "detector", {"engine": "keras"}, 5),
        (Kind.STOP, "classifier", {"engine": "keras"}, HUNG_AFTER + 5),
        (Kind.FULL_DISK, "recorder", {}, 5),
    ],
)
def test_the_time_to_recover(
    kind: Kind, stage: str, classifier: dict[str, Any], limit: float
) -> None:
    config = chaos_config(Config(classifier=Classifier(**classifier)))
    assert recovery_limit(Fault(kind, stage, 5.0), config) == limit


def test_what_a_stage_has_worked_on_is_known_by_its_mark() -> None:
    observer = Observer()
    marks = {"capture": (10, 11), "detector": (20, 21)}
    observer.see(Message(builders.emotion(3, marks=marks)))
    credit = Credit(**{**builders.COMMON, "seq": 3, "consumer": "recorder"})
    observer.see(Message(credit))
    assert observer.has_worked_since("detector", 19)
    assert not observer.has_worked_since("detector", 20)
    assert not observer.has_worked_since("recorder", 0)
    assert observer.answered == observer.credited == {("cam1", "r", 3)}


def test_a_video_that_does_not_open_is_found(tmp_path: Path) -> None:
    with VideoFile(tmp_path / "good.mp4", 64, 64) as video:
        video.write(np.zeros((64, 64, 3), np.uint8), 0)
    (tmp_path / "bad.mp4").write_bytes(b"")
    assert unreadable_videos(tmp_path) == (2, ["bad.mp4"])


def test_a_credited_frame_without_a_row_is_found(tmp_path: Path) -> None:
    database = tmp_path / "emostream.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE frames (stream TEXT, run TEXT, seq INTEGER)")
        connection.execute("INSERT INTO frames VALUES ('demo', 'r', 1)")
    connection.close()
    assert missing_rows(database, {("demo", "r", 1)}) == []
    assert missing_rows(database, {("demo", "r", 1), ("demo", "r", 2)}) == [("demo", "r", 2)]


def outcome(**changes: Any) -> Outcome:
    good = {
        "disturbances": [Disturbance(Fault(Kind.KILL, "capture", 5.0), 2.0, 5.0, 2.0)],
        "results": 100,
        "sums": [FrameCounts("emotions", "demo", captured=100, answered=97, in_flight=3)],
        "videos": 3,
        "unreadable": [],
        "credited": 50,
        "missing_rows": 0,
        "memory_before": {"capture": 100.0},
        "memory_after": {"capture": 109.0},
    }
    return Outcome(**{**good, **changes})


def test_a_run_in_which_all_is_as_it_has_to_be_passes() -> None:
    assert all(row.is_good for row in rows(outcome()))


@pytest.mark.parametrize(
    ("changes", "bad"),
    [
        (
            {"disturbances": [Disturbance(Fault(Kind.KILL, "capture", 5.0), 5.1, 5.0, 2.0)]},
            "1 x kill -9: works again after",
        ),
        (
            {"disturbances": [Disturbance(Fault(Kind.FULL_DISK, "recorder", 5.0), 1.0, 5.0, 9.0)]},
            "full disk: longest time without a result",
        ),
        ({"results": 0}, "results heard"),
        (
            {"sums": [FrameCounts("emotions", "demo", captured=100, answered=96, in_flight=3)]},
            "unexplained: emotions, demo",
        ),
        (
            {"sums": [FrameCounts("emotions", "demo", captured=100, answered=50, in_flight=50)]},
            "unexplained: emotions, demo",
        ),
        ({"sums": []}, "unexplained"),
        ({"unreadable": ["demo/1.mp4"]}, "mp4 files that open"),
        ({"videos": 0}, "mp4 files that open"),
        ({"missing_rows": 1}, "credited rows that exist"),
        ({"credited": 0}, "credited rows that exist"),
        ({"memory_after": {"capture": 111.0}}, "memory of all stages"),
    ],
)
def test_a_figure_that_is_not_as_it_has_to_be_fails_the_run(
    changes: dict[str, Any], bad: str
) -> None:
    assert [row.what for row in rows(outcome(**changes)) if not row.is_good] == [bad]
