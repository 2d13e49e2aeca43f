"""A folder with what the documentation's commands name, and a shell that runs them there."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from emostream.services.capture.demo.scene import DemoScene
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.video_file import VideoFile
from tests import builders
from tests.documented_commands import ROOT

FRAMES: Final = 20
STEP_NS: Final = 40_000_000
# What a recording writes, not the checkout has; and its environment, which may be elsewhere.
OWN: Final = {".venv", "recordings", "analysis", "export", "results", "runs", "prometheus-data"}
# Streams and runs that the documentation picks out.
RECORDED: Final = {
    "recordings/emostream.db": [("cam1", "199a3c5b7d1-9f2e"), ("cam2", "19f2c-1a2b")],
    "other.db": [("cam1", "a"), ("cam2", "a")],
    "analysis/interview/emostream.db": [("interview", "b")],
}
FILMS: Final = (
    *("interview.mp4", "film.mp4", "films/one.mp4", "day1/two.mov", "archive/2025/three.mp4"),
)
# Its own network keeps the commands' ports apart from those of other programs.
NETWORK: Final = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c")
ISOLATED: Final = 'ip link set lo up && exec "$@"'


def make_sandbox(folder: Path) -> Path:
    """Return a copy of the checkout, made of links, with recordings and films in it."""
    work = folder / "checkout"
    work.mkdir()
    for path in ROOT.iterdir():
        if path.name not in OWN:
            (work / path.name).symlink_to(path)
    (work / ".venv").symlink_to(sys.prefix)
    (folder / "original").mkdir()
    (work / "results").mkdir()  # of an analysis
    for name in ("subscribe.py", "subscribe_async.py"):
        (work / name).symlink_to(ROOT / "docs" / "examples" / name)
    film = _film(folder / "film.mp4")
    for name in FILMS:
        target = work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(film, target)
    for name, runs in RECORDED.items():
        _record(work / name, runs)
    return work


# Waits for the display to listen.
SERVES = "until (: </dev/tcp/127.0.0.1/8080) 2>/dev/null; do sleep 0.1; done"


def run_line(
    line: str, folder: Path, beside: str = "", seconds: float | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command line in the folder as a user's shell does, and `beside` at the same time.

    With `seconds` it is interrupted after that; its exit code is then 124 where it still ran.
    """
    ready = SERVES if beside == "emostream display" else "sleep 4"
    script = f"{beside} >/dev/null 2>&1 & {ready}\n" if beside else ""
    if seconds is None:
        script += f"{line}\ncode=$?\nkill $(jobs -p) 2>/dev/null; exit $code"
    else:
        script += 'timeout --signal=INT --kill-after=20 "$0" bash -c "$1"\ncode=$?\n'
        script += "kill $(jobs -p) 2>/dev/null; exit $code"
    words = ["bash", "-c", script, str(seconds or ""), line]
    if has_network():
        words = [*NETWORK, ISOLATED, "sh", *words]
    bin_folder = str(Path(sys.prefix) / "bin")
    return subprocess.run(
        words,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=110,
    )


@functools.cache
def has_network() -> bool:
    """Whether this user may make networks."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run([*NETWORK, ISOLATED, "sh", "true"], capture_output=True).returncode == 0


def _film(path: Path) -> Path:
    demo = DemoScene(320, 180, fps=25)
    with VideoFile(path, 320, 180) as film:
        for n in range(FRAMES):
            film.write(demo.frame(n), n * STEP_NS)
    return path


def _record(path: Path, runs: list[tuple[str, str]]) -> None:
    archive = ArchiveWriter(path)
    for stream, run in runs:
        common: dict[str, Any] = {"stream": stream, "run": run}
        archive.add_event(builders.event(0, **common))
        for seq in range(FRAMES):
            frame = {**common, "pts": seq * STEP_NS, "t": seq * STEP_NS}
            archive.add_emotion(builders.emotion(seq, builders.face(), **frame))
        archive.end_run(builders.frame(FRAMES, **common, end=True, frames=FRAMES).header)
    archive.close()
