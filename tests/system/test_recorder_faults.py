"""Recordings that cannot be written: live stages continue, analyses end with a clear error."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from emostream.services.capture.demo.scene import DemoScene
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.services.recorder.archive.progress import frames_written
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.config import load
from emostream.shared.errors import ExitCode
from tests.disks import small_disk
from tests.system.conftest import DEFAULT, wait_until


def recorder_state(pipeline: Pipeline) -> str:
    """Return why the recorder is not ready, as the page shows it."""
    with urllib.request.urlopen(f"http://{pipeline.config.display.page}/api/state") as answer:
        stages = json.load(answer)["stages"]
    return str(next(stage["reason"] for stage in stages if stage["stage"] == "recorder"))


def top(pipeline: Pipeline, folder: Path) -> str:
    """Return what `emostream top` prints."""
    command = [sys.executable, "-m", "emostream", "top", "--once"]
    return subprocess.run(
        [*command, "--config", str(folder / "config.toml")], capture_output=True, text=True
    ).stdout


def test_a_full_disk_stops_no_stage_and_is_said_everywhere(tmp_path: Path) -> None:
    config = load(DEFAULT, ["recorder.video=true"])
    with small_disk(tmp_path / "recordings") as disk, Pipeline(config, tmp_path) as pipeline:
        pipeline.wait_ready()
        processes = {name: process.pid for name, process in pipeline.stage_processes().items()}
        began = time.time_ns()
        disk.fill()
        wait_until(lambda: "disk full" in str(pipeline.missing("recorder")), "the fault", 5)
        wait_until(lambda: "disk full" in recorder_state(pipeline), "the page to say so", 5)
        assert "recorder: disk full: " in top(pipeline, tmp_path)
        assert not any(pipeline.missing(stage) for stage in STAGES if stage != "recorder")
        ended = time.time_ns()
        disk.make_room()
        wait_until(lambda: not pipeline.missing("recorder"), "the end of the fault", 5)
        assert {name: one.pid for name, one in pipeline.stage_processes().items()} == processes
        pipeline.stop()
        connection = sqlite3.connect(disk.path / "emostream.db")
        query = "SELECT count(*) FROM frames WHERE t BETWEEN ? AND ?"
        ((kept,),) = connection.execute(query, (began, ended))
        connection.close()
        assert kept > (ended - began) / 1e9 * 5, "rows of the time of the fault, 5/s at least"
        assert "rows are lost" not in pipeline.log.read_text("utf-8")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film that takes a while: 20 s of three faces."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    demo = DemoScene(640, 360, fps=25)
    with VideoFile(path, 640, 360) as writer:
        for n in range(500):
            writer.write(demo.frame(n), n * 40_000_000)
    return path


def analysis(
    film: Path, out: Path, environment: dict[str, str] | None = None
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "emostream", "analyze", "--json", "--no-video", str(film)]
    return subprocess.Popen(
        [*command, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def wait_for_rows(out: Path) -> Path:
    """Wait until rows are written; return the database."""
    database = out / "film" / "emostream.db"
    wait_until(lambda: frames_written(database) > 5, "rows", 30)
    return database


def result(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the facts of an analysis that has to end with the code of a delivery that stopped."""
    output, errors = process.communicate(timeout=60)
    assert process.returncode == ExitCode.STOPPED, errors
    assert "Traceback" not in errors
    last: dict[str, Any] = json.loads(output.splitlines()[-1])
    assert last["status"] == "partial"
    return last


def test_an_analysis_whose_folder_is_deleted_ends_at_once(film: Path, tmp_path: Path) -> None:
    process = analysis(film, tmp_path)
    database = wait_for_rows(tmp_path)
    shutil.rmtree(database.parent)
    assert "recorder cannot continue: folder deleted: " in result(process)["message"]


def test_an_analysis_on_a_full_disk_ends_with_what_is_written(film: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        process = analysis(film, disk.path)
        database = wait_for_rows(disk.path)
        disk.fill()
        facts = result(process)
        assert "recorder cannot continue: disk full: " in facts["message"]
        assert facts["frames_analysed"] == frames_written(database) > 5
        assert json.loads((database.parent / "run.json").read_text("utf-8"))["status"]


@pytest.mark.evidence
def test_an_analysis_without_room_for_temporary_files_can_be_resumed(tmp_path: Path) -> None:
    short = tmp_path / "film.mp4"
    demo = DemoScene(320, 180, fps=25)
    with VideoFile(short, 320, 180) as writer:
        for n in range(10):
            writer.write(demo.frame(n), n * 40_000_000)
    out = tmp_path / "out"
    with small_disk(tmp_path / "disk", "16k") as disk:
        facts = result(analysis(short, out, {**os.environ, "TMPDIR": str(disk.path)}))
        assert "No space left on device" in facts["message"]
        assert "TMPDIR" in facts["message"]
    command = [sys.executable, "-m", "emostream", "analyze", "--resume", "--out", str(out)]
    assert subprocess.run(command, timeout=60).returncode == ExitCode.OK
    record = json.loads((out / "film" / "run.json").read_text("utf-8"))
    assert (record["status"], record["frames_analysed"]) == ("complete", 10)
