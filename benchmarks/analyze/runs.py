"""Runs and times programs on a clip, and reads the results of an analysis."""

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

# Sampling all processes takes a few ms of CPU time from those being measured.
LOOK_EVERY = 1.0
MEGABYTE = 1e6


class Clip(msgspec.Struct, frozen=True):
    """A video file of `benchmarks.make_clips`; `people` is the number of people per frame."""

    path: str
    frames: int
    people: int
    shows: str


@dataclass(frozen=True)
class Timing:
    """A program's time for a number of frames."""

    frames: int
    seconds: float


@dataclass(frozen=True)
class Finished:
    """A command's output, its time, and the peak memory of its processes.

    Memory is resident, in MB, sampled every second; shared pages count for each process.
    """

    printed: str
    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Analysis:
    """One analysis of one clip; `faces` is the mean number per frame.

    `after` is the time in s outside the stages, for start-up and for writing the files.
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
            f"{short.seconds:.1f} s: use lengths that differ more"
        )
    return frames / seconds


def analyze(command: Sequence[str], clip: Clip, folder: Path, *, video: bool) -> Analysis:
    """Run one analysis into a temporary folder below `folder`.

    Raises EmostreamError if it fails or does not account for every frame, and RecordingError if its
    results cannot be read.
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
    """Run a command in `folder` to its end; EmostreamError if it fails or does not exist."""
    # TensorFlow's notes about the CPU would hide the error message.
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
    """Return the memory of a process and its descendants, in MB."""
    held = 0
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for process in (top, *top.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                held += process.memory_info().rss
    return held / MEGABYTE


def _counts(path: Path) -> tuple[int, int]:
    """Return the numbers of frames and faces in the database of an analysis."""
    with ArchiveReader(path) as reader:
        faces = [frame.faces for frame in reader.frame_rows(*reader.runs())]
    return len(faces), sum(faces)
