"""Recordings as they come from players, cameras and editors, through `emostream analyze`."""

import csv
import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emostream.shared.bus import Bus, Subscription
from emostream.shared.inbox import FifoInbox
from tests.system.conftest import wait_until
from tests.system.test_stages import Stage
from tests.unit.videos import FRAME, Clip, cut

CASES = Path(__file__).parents[3] / "shared" / "cases"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="needs ../shared/cases")


@dataclass(frozen=True)
class Result:
    """What an analysis left."""

    run: dict[str, Any]
    faces: list[dict[str, str]]
    events: list[dict[str, str]]

    @property
    def times(self) -> list[float]:
        """The time of each frame, in s."""
        return list({row["seq"]: float(row["pts_s"]) for row in self.faces}.values())


def analyzed(path: Path, out: Path, *options: str) -> Result:
    command = [sys.executable, "-m", "emostream", "analyze", str(path), "--out", str(out)]
    done = subprocess.run(
        [*command, "--no-video", *options], capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr + done.stdout
    [folder] = out.iterdir()

    def rows(name: str) -> list[dict[str, str]]:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    run = json.loads((folder / "run.json").read_text("utf-8"))
    return Result(run, rows("observations.csv"), rows("events.csv"))


@needs_cases
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "frames", "last"),
    [
        ("dup.mkv", [], 50, 1.92),
        pytest.param("gap70.mkv", [], 50, 71.96, marks=pytest.mark.evidence),
        ("gap.mp4", [], 19, 1.96),
        pytest.param("lapse05.mp4", [], 100, 198, marks=pytest.mark.evidence),
        ("lapse05.mp4", ["--sample", "0.01/s"], 2, 100),
        pytest.param("two.mp4", [], 50, 1.96, marks=pytest.mark.evidence),
        pytest.param("thumbfirst.mkv", [], 50, 1.96, marks=pytest.mark.evidence),
        ("longaudio.wmv", [], 50, 1.96),
    ],
)
def test_three_people_are_three_tracks_at_the_times_of_the_file(
    tmp_path: Path, name: str, options: list[str], frames: int, last: float
) -> None:
    found = analyzed(CASES / name, tmp_path, *options)
    assert found.run["status"] == "complete"
    assert (len(found.times), found.times[-1]) == (frames, last)
    assert len(found.faces) == 3 * frames
    assert {row["track"] for row in found.faces} == {"1", "2", "3"}
    assert Counter(row["kind"] for row in found.events)["enter"] == 3
    skipped = [stream["index"] for stream in found.run["input"]["skipped_streams"]]
    assert skipped == ([0] if name in ("two.mp4", "thumbfirst.mkv") else [])


@needs_cases
@pytest.mark.slow
def test_wide_pixels_show_the_same_faces_and_labels(tmp_path: Path) -> None:
    wide = analyzed(CASES / "sar2.mp4", tmp_path / "wide")
    square = analyzed(CASES / "ctl2.mp4", tmp_path / "square")
    assert len(wide.faces) == len(square.faces) == 150
    pairs = list(zip(wide.faces, square.faces, strict=True))
    assert sum(a["label"] == b["label"] for a, b in pairs) >= 0.95 * len(pairs)
    for a, b in pairs:
        # In pixels of the stored picture, which are twice as wide.
        assert 2 * float(a["x"]) == pytest.approx(float(b["x"]), abs=8)
        assert 2 * float(a["width"]) == pytest.approx(float(b["width"]), abs=12)
        assert float(a["height"]) == pytest.approx(float(b["height"]), abs=12)


@pytest.mark.slow
def test_a_clock_that_restarts_is_noted(tmp_path: Path) -> None:
    part = Clip([9] * 50, time_base=FRAME).write(tmp_path / "part.ts").read_bytes()
    (tmp_path / "all.ts").write_bytes(part + part)
    found = analyzed(tmp_path / "all.ts", tmp_path / "out")
    assert found.run["input"]["clock_restarts_s"] == pytest.approx([2])
    assert found.times == pytest.approx([n / 25 for n in range(100)])


@pytest.mark.slow
def test_a_file_that_breaks_off_live_ends_with_the_reason(tmp_path: Path) -> None:
    clip = Clip([128] * 100, noise=1.0, coding={"g": "10"}, container={"movflags": "faststart"})
    video = cut(clip.write(tmp_path / "cut.mp4"), 0.5)
    with ExitStack() as stack:
        bus = stack.enter_context(Bus("test"))
        stage = Stage(
            *("capture", tmp_path / "log", f"capture.bind=ipc://{tmp_path}/frames"),
            f'capture.sources=[{{name="cut", url="{video}", pace="real"}}]',
        )
        stack.callback(stage.close)
        inbox = FifoInbox()
        receiver = bus.receiver(
            [Subscription([f"ipc://{tmp_path}/frames"], ["frame/"], 0)],
            inbox.put,
            lambda error: pytest.fail(str(error)),
        )
        stack.callback(receiver.close)
        ends: list[str] = []

        def ended() -> bool:
            messages = inbox.take(50, timeout=0.2)
            ends.extend(one.header.error for one in messages if one.header.end)
            return bool(ends)

        wait_until(ended, "the end of the stream", 60)
    assert "ends early at" in ends[0]
