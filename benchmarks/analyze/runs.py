"""Running programs on a clip to time them: their processes, and what an analysis leaves."""

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from emostream.services.cli.analysis.run_file import RunFile, StageUse
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.schema import DATABASE
from emostream.shared.errors import EmostreamError
from emostream.shared.shipped_files import ROOT

# Looking at all processes takes some ms, which those that are measured lack.
LOOK_EVERY = 1.0
MEGABYTE = 1e6


class Clip(msgspec.Struct, frozen=True):
    """A video file of `benchmarks.make_clips`; `people` is how many each frame shows."""

    path: str
    frames: int
    people: int
    shows: str


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
    """One analysis of one clip; `faces` is their mean number per frame.

    `after` is how many seconds it continued without the stages: it starts, and writes the files.
    """

    timing: Timing
    after: float
    faces: float
    peak_mb: float
    stages: Mapping[str, StageUse]


def steady(short: Timing, long: Timing) -> float:
    """Return the frames/s between two lengths; EmostreamError if the longer took no longer."""
    seconds, frames = long.seconds - short.seconds, long.frames - short.frames
    if seconds <= 0 or frames <= 0:
        raise EmostreamError(
            f"{long.frames} frames took {long.seconds:.1f} s and {short.frames} took "
            f"{short.seconds:.1f} s: give lengths that lie further apart"
        )
    return frames / seconds


def analyze(command: Sequence[str], clip: Clip, folder: Path, *, video: bool) -> Analysis:
    """Run one analysis into a folder below `folder` that is removed again.

    Raises EmostreamError if it fails or does not account for each frame, and RecordingError if what
    it leaves cannot be read.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="analysis-") as out:
        words = [*command, clip.path, "--out", out, *([] if video else ["--no-video"])]
        done = finish(words)
        result = Path(out) / Path(clip.path).stem
        record = RunFile.read(result)
        frames, faces = _counts(result / DATABASE)
    if frames != clip.frames:
        raise EmostreamError(f"{shlex.join(words)}: {frames} of {clip.frames} frames are there")
    timing = Timing(frames, done.seconds)
    after = done.seconds - record.seconds
    return Analysis(timing, after, faces / frames, done.peak_mb, record.stages)


def finish(words: Sequence[str], folder: Path = ROOT) -> Finished:
    """Run a command in `folder` to its end; EmostreamError if it fails or is not there."""
    # TensorFlow's notes about the CPU would hide what a failure says.
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
        last = (output[1].strip() or "it printed nothing").splitlines()[-1]
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


def _counts(path: Path) -> tuple[int, int]:
    """Return how many frames the database of an analysis holds, and how many faces."""
    with ArchiveReader(path) as reader:
        faces = [frame.faces for frame in reader.frame_rows(*reader.runs())]
    return len(faces), sum(faces)
