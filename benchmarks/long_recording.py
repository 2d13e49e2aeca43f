"""Completeness, speed and memory of a long analysis: python -m benchmarks.long_recording."""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.results import finish, parse
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.cli.bench.result_file import figure
from emostream.services.cli.processes.child_process import arguments_of
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.progress import ProgressBar

WHAT = "python -m benchmarks.long_recording"
SCENES = 400  # number of drawn demo pictures, which the recording repeats
SAMPLE_INTERVAL = 2.0  # seconds between two samples of the memory


def write_film(path: Path, frames: int, fps: float) -> Path:
    """Write a film of 320 x 180 pixels with three faces, and return its path."""
    demo = DemoScene(320, 180)
    pictures = [demo.frame(5 * n) for n in range(SCENES)]
    with ProgressBar("film", frames, "frames") as bar, VideoFile(path, 320, 180) as writer:
        for n in range(frames):
            writer.write(pictures[n % SCENES], round(n * 1e9 / fps))
            bar.update(n + 1)
    return path


def stage_memory(process: psutil.Process) -> dict[str, float]:
    """Return the resident MB of each stage below the process."""
    found = {}
    with contextlib.suppress(psutil.Error):
        for child in process.children():
            # One that just ended has no command line any more.
            with contextlib.suppress(psutil.Error):
                if arguments := arguments_of(child.cmdline()):
                    found[arguments[0]] = child.memory_info().rss / 1e6
    return found


def sample_memory(process: "subprocess.Popen[str]") -> Iterator[tuple[float, dict[str, float]]]:
    """Yield samples of the time and each stage's memory, while all four run."""
    began, parent = time.monotonic(), psutil.Process(process.pid)
    while process.poll() is None:
        if len(now := stage_memory(parent)) == 4:
            yield time.monotonic() - began, now
        time.sleep(SAMPLE_INTERVAL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Analyze a film by the command line and print the figures; 1 if frames are lost."""
    parser = argparse.ArgumentParser(prog=WHAT, description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--fps", type=float, default=25.0, help="of the film (%(default)g)")
    chosen = parse(parser, WHAT, arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = write_film(Path(folder) / "film.mp4", chosen.frames, chosen.fps)
        command = [sys.executable, "-m", "emostream", "analyze", str(path)]
        command += ["--no-video", "--json", "--out", folder]
        log = Path(folder) / "log.json"
        with log.open("w", encoding="utf-8") as out:
            process = subprocess.Popen(command, stdout=out, text=True)
            samples = list(sample_memory(process))
        end: dict[str, Any] = json.loads(log.read_text("utf-8").splitlines()[-1])
    done, seconds = end["frames_analysed"], end["seconds"]
    print(f"{done} of {chosen.frames} frames in {seconds:.0f} s: {done / seconds:.0f} frames/s")
    for at, found in (samples[part * (len(samples) - 1) // 3] for part in range(4)):
        stages = ", ".join(f"{stage} {mb:.1f}" for stage, mb in sorted(found.items()))
        print(f"after {at:.0f} s, MB resident: {stages}")
    figures = {
        "frames lost": figure([chosen.frames - done], "frames"),
        "speed": figure([done / seconds], "frames/s", "higher"),
    }
    if samples:
        _, settled = samples[(len(samples) - 1) // 3]
        for stage, memory in sorted(samples[-1][1].items()):
            figures[f"{stage}: memory"] = figure([memory], "MB resident")
            figures[f"{stage}: growth"] = figure([memory - settled[stage]], "MB of growth")
    return finish(chosen, WHAT, figures, good=done == chosen.frames)


if __name__ == "__main__":
    sys.exit(main())
