"""Running programs on a clip to time them: their processes, and what an analysis leaves."""

import os
import shlex
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from emostream.services.cli.processes.pipeline import ROOT
from emostream.shared.errors import EmostreamError

# Looking at all processes takes some ms, which those that are measured lack.
LOOK_EVERY = 1.0
MEGABYTE = 1e6


class Clip(msgspec.Struct, frozen=True):
    """A video file as `benchmarks.clips` tells of it; `people` is how many each frame shows."""

    path: str
    frames: int
    people: int
    shows: str


class StageUse(msgspec.Struct, frozen=True):
    """What a stage used over a whole analysis: the time of its steps, and that of its processor."""

    busy_seconds: float
    cpu_seconds: float


class RunFile(msgspec.Struct, frozen=True):
    """What is read of an analysis' run.json; `seconds` is how long its stages ran."""

    seconds: float
    stages: dict[str, StageUse]


@dataclass(frozen=True)
class Timing:
    """How long a program took over so many frames."""

    frames: int
    seconds: float


@dataclass(frozen=True)
class Finished:
    """What a command printed, how long it took, and the most that its processes held together.

    Memory is resident, in MB, looked at each second; pages that they share count for each.
    """

    printed: str
    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Analysis:
    """One analysis of one clip; `faces` is their mean number a frame.

    `after` is how many seconds it went on without the stages: it starts, and writes the files.
    """

    timing: Timing
    after: float
    faces: float
    peak_mb: float
    stages: Mapping[str, StageUse]


def steady(short: Timing, long: Timing) -> float:
    """Return the frames/s between two lengths; EmostreamError where the longer took no longer."""
    seconds, frames = long.seconds - short.seconds, long.frames - short.frames
    if seconds <= 0 or frames <= 0:
        raise EmostreamError(
            f"{long.frames} frames took {long.seconds:.1f} s and {short.frames} took "
            f"{short.seconds:.1f} s: give lengths that lie further apart"
        )
    return frames / seconds


def analyze(command: Sequence[str], clip: Clip, folder: Path, *, video: bool) -> Analysis:
    """Run one analysis into a folder below `folder` that is removed again.

    Raises EmostreamError where it fails or does not account for each frame.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="analysis-") as out:
        words = [*command, clip.path, "--out", out, *([] if video else ["--no-video"])]
        done = finish(words)
        result = Path(out) / Path(clip.path).stem
        told = _told(result / "run.json")
        frames, faces = _counts(result / "emostream.db")
    if frames != clip.frames:
        raise EmostreamError(f"{shlex.join(words)}: {frames} of {clip.frames} frames are there")
    timing = Timing(frames, done.seconds)
    return Analysis(timing, done.seconds - told.seconds, faces / frames, done.peak_mb, told.stages)


def finish(words: Sequence[str], folder: Path = ROOT) -> Finished:
    """Run a command in `folder` to its end; EmostreamError where it fails or is not there."""
    # TensorFlow's notes about the processor would hide what a failure says.
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    began = time.perf_counter()
    try:
        process = subprocess.Popen(
            words, cwd=folder, env=quiet, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise EmostreamError(f"{words[0]}: cannot be started: {error.strerror}") from error
    with process:
        peak, output = 0.0, None
        try:
            while output is None:
                peak = max(peak, _resident(process.pid))
                with suppress(subprocess.TimeoutExpired):
                    output = process.communicate(timeout=LOOK_EVERY)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        last = (output[1].strip() or "it said nothing").splitlines()[-1]
        raise EmostreamError(f"{shlex.join(words)} ended with {process.returncode}: {last}")
    return Finished(output[0], time.perf_counter() - began, peak)


def _resident(pid: int) -> float:
    """Return what a process and all below it hold in memory, in MB."""
    held = 0
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for process in (top, *top.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                held += process.memory_info().rss
    return held / MEGABYTE


def _told(path: Path) -> RunFile:
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunFile)
    except (OSError, msgspec.DecodeError) as error:
        raise EmostreamError(f"{path.name} of an analysis cannot be read: {error}") from error


def _counts(path: Path) -> tuple[int, int]:
    """Return how many frames the database of an analysis holds, and how many faces."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT count(*), coalesce(sum(faces), 0) FROM frames")
            frames, faces = rows.fetchone()
    except sqlite3.Error as error:
        raise EmostreamError(f"{path.name} of an analysis cannot be read: {error}") from error
    return frames, faces
