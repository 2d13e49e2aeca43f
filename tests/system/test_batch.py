"""`emostream batch` with its own Ray, in one machine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

from emostream.services.capture.demo.scene import DemoScene
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.errors import ExitCode


def write_film(path: Path, frames: int, width: int = 320, height: int = 180) -> Path:
    """Write a film of three people with a key frame every 2 s."""
    demo = DemoScene(width, height, fps=25)
    with VideoFile(path, width, height) as writer:
        for n in range(frames):
            writer.write(demo.frame(3 * n), n * 40_000_000)
    return path


def batch(*words: object) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command; return its exit code, the events that it printed, and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "emostream", "batch", "--json", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.evidence
def test_an_archive_becomes_tables_and_a_bad_file_stops_nothing(tmp_path: Path) -> None:
    archive, out = tmp_path / "archive", tmp_path / "out"
    archive.mkdir()
    write_film(archive / "film.mp4", 90)
    (archive / "bad.mp4").write_bytes(b"no video" * 99)
    cv2.imwrite(str(archive / "photo.png"), DemoScene(640, 360).frame(0))
    words = (archive, "--out", out, "--chunk", "1s", "--overlap", "500ms", "--workers", "1")
    code, events, stderr = batch(*words)
    assert code == ExitCode.FAILURE, stderr
    ends = {event["name"]: event for event in events if event["event"] == "end"}
    assert ends["film.mp4"]["status"] == "complete"
    assert (ends["film.mp4"]["frames"], ends["film.mp4"]["tracks"]) == (90, 3)
    assert ends["film.mp4"]["chunks"] == 2
    assert ends["photos"]["faces"] == 3
    assert ends["bad.mp4"]["status"] == "unreadable"
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        *("batch.json", "summary.json", "summary.csv"),
        *("observations", "events", "tracks", "photos", "runs"),
    }
    record = json.loads((out / "runs" / "recording=film" / "run.json").read_text("utf-8"))
    assert record["frames_analysed"] == 90
    assert all((out / name).exists() for name in record["files"])
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["count"] == {"complete": 2, "unreadable": 1}
