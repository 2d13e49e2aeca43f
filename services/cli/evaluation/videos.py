"""Faces in video through `emostream analyze` with defaults, for `emostream evaluate --scenes`."""

import argparse
import csv
import itertools
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from emostream.models.evaluation.scenes import HEIGHT, WIDTH, SceneStyle
from emostream.models.evaluation.video_scenes import FPS, TrueFaces, moving_video, still_video
from emostream.models.evaluation.video_scores import FoundFaces, VideoScores, score_video
from emostream.services.cli.processes.child_process import PROGRAM
from emostream.services.recorder.encoding import best_encoder
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.errors import RecordingError
from emostream.shared.pixels import Image
from emostream.shared.temporary_folder import temporary_folder

SHIPPED: Final = "alexnet-fer"  # an analysis uses its int8 file
SMALL: Final = SceneStyle(smallest=32, largest=80)
PROBABILITY: Final = "p_"  # the prefix of the label columns
Video = Callable[[Image, int, SceneStyle | None], Iterator[tuple[Image, TrueFaces]]]


@dataclass(frozen=True)
class VideoKind:
    """A kind of video, with a share `part` of the faces, each in many frames."""

    name: str
    video: Video
    style: SceneStyle
    part: float


KINDS: Final = (
    VideoKind("still, 80 to 300 px", still_video, SceneStyle(), 1),
    VideoKind("moving, 80 to 300 px", moving_video, SceneStyle(), 1 / 8),
    VideoKind("still, 32 to 80 px", still_video, SMALL, 1 / 4),
    VideoKind("moving, 32 to 80 px", moving_video, SMALL, 1 / 8),
)


def measure_video(
    faces: Image,
    kind: VideoKind,
    options: argparse.Namespace,
    on_progress: Callable[[int], None] = lambda frames: None,
) -> VideoScores:
    """Draw a part of the faces uint8 (N, H, H) into a video and evaluate `analyze` on it.

    Raises RecordingError if that fails.
    """
    drawn = faces[: max(1, round(kind.part * len(faces)))]
    with temporary_folder() as folder:
        path = folder / "scenes.mp4"
        truth = _write(path, kind.video(drawn, options.seed, kind.style), on_progress)
        _analyze(path, options)
        found = read_observations(path.with_suffix("") / "observations.csv", len(truth))
    return score_video(zip(truth, found, strict=True))


def _write(
    path: Path,
    frames: Iterator[tuple[Image, TrueFaces]],
    on_progress: Callable[[int], None],
) -> list[TrueFaces]:
    truth = []
    with VideoFile(path, WIDTH, HEIGHT, best_encoder()) as file:
        for number, (picture, faces) in enumerate(frames):
            file.write(picture, number * 1_000_000_000 // FPS)
            truth.append(faces)
            on_progress(len(truth))
    return truth


def _analyze(path: Path, options: argparse.Namespace) -> None:
    words = [*PROGRAM, "analyze", str(path), "--out", str(path.parent), "--no-video"]
    settings = list(itertools.chain(*(("--set", one) for one in analysis_settings(options))))
    done = subprocess.run([*words, *settings], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it printed nothing"]
        raise RecordingError(f"emostream analyze ended with {done.returncode}: {said[-1]}")


def analysis_settings(options: argparse.Namespace) -> Sequence[str]:
    """Return the options' changes to the default settings, as `--set` arguments."""
    settings = [f"detector.backend={options.backend}"]
    if options.model != SHIPPED:
        settings += [f"classifier.model={options.model}", f"classifier.engine={options.engine}"]
    if options.weights:
        settings.append(f"detector.weights={options.weights.absolute()}")
    for name in ("tiles", "score", "long_side"):
        if (value := getattr(options, name)) is not None:
            settings.append(f"detector.{name}={value}")
    return settings


def read_observations(path: Path, frames: int) -> list[FoundFaces]:
    """Return the faces of each frame, from the table of an analysis."""
    rows: list[list[dict[str, str]]] = [[] for _ in range(frames)]
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["track"]:
                rows[int(row["seq"])].append(row)
    return [_found(of_frame) for of_frame in rows]


def _found(rows: Sequence[dict[str, str]]) -> FoundFaces:
    boxes = [[float(row[name]) for name in ("x", "y", "width", "height")] for row in rows]
    return FoundFaces(
        np.array([int(row["track"]) for row in rows], np.int64),
        np.array(boxes, np.float64).reshape(-1, 4),
        tuple(_label(row) for row in rows),
    )


def _label(row: dict[str, str]) -> str:
    """Return the most probable label of the single frame."""
    shares = {name: float(value) for name, value in row.items() if name.startswith(PROBABILITY)}
    return max(shares, key=shares.__getitem__).removeprefix(PROBABILITY)
