"""The figures of `run.json` are those of a real run."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from emostream.services.capture.demo.scene import DemoScene
from tests.unit.videos import Clip

FRAMES = 60
UNDECODABLE = 25
DEMO = DemoScene(640, 360, fps=25)


class DemoClip(Clip):
    """Three faces, each picture whole in itself."""

    def picture(self, n: int) -> np.ndarray:
        return DEMO.frame(n)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A film with one frame that cannot be decoded."""
    film = DemoClip(
        range(FRAMES), (640, 360), "mjpeg", "yuvj420p", range(FRAMES), Fraction(1, 25),
    )  # fmt: skip
    path = film.write(tmp_path / "film.avi")
    with av.open(str(path)) as container:
        packets = list(container.demux(video=0))
    broken = bytes(packets[UNDECODABLE])
    data = path.read_bytes()
    assert data.count(broken) == 1
    path.write_bytes(data.replace(broken, bytes(len(broken))))
    return path


def test_skipped_frames_and_times_of_each_stage(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "emostream", "analyze", str(clip), "--out", str(out)]
    done = subprocess.run([*command, "--no-video"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    run = json.loads((out / "film" / "run.json").read_text("utf-8"))
    assert run["frames_skipped"] == 1
    assert run["frames_read"] == run["frames_analysed"] == FRAMES - 1
    assert set(run["stages"]) == {"capture", "detector", "classifier", "recorder"}
    for use in run["stages"].values():
        assert use["frames"] == FRAMES - 1
        assert 0 < use["busy_seconds"] < run["seconds"]
        # A Python process takes some tenths of a second to start.
        assert use["cpu_seconds"] > 0.1
        assert use["restarts"] == 0
    # Finding faces takes at least a millisecond a frame; sending a picture on takes less.
    busy = {stage: use["busy_seconds"] for stage, use in run["stages"].items()}
    assert busy["detector"] > 0.001 * FRAMES
    assert busy["capture"] < busy["detector"]
