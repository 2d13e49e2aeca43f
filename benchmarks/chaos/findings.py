"""What is looked at after the faults: files, rows, the sum of losses, and memory."""

import contextlib
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import av

from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.frame_counts import frame_counts
from emostream.shared.scraping import Scrape, scrape

# The processes are not read at the same instant.
SKEW: Final = 20
LOOKS: Final = 5
LOOK_PAUSE_S: Final = 0.5


def unreadable_videos(folder: Path) -> tuple[int, list[str]]:
    """Return how many videos there are, and those that do not open or give no picture."""
    videos = sorted(folder.rglob("*.mp4"))
    return len(videos), [str(path.relative_to(folder)) for path in videos if not _opens(path)]


def _opens(path: Path) -> bool:
    try:
        with av.open(path) as video:
            return next(video.decode(video=0), None) is not None
    except (av.FFmpegError, IndexError):
        return False


def missing_rows(database: Path, credited: set[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Return the frames (stream, run, seq) that were credited and have no row."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = set(connection.execute("SELECT stream, run, seq FROM frames"))
    return sorted(credited - rows)


def unexplained(pipeline: Pipeline) -> dict[str, int]:
    """Return for each path and stream how many frames no term of its sum accounts for.

    What is in flight is few frames, so the rest beyond that is unexplained too. Of several looks
    the best counts, since the processes are read one after the other.
    """
    best: dict[str, int] = {}
    for _ in range(LOOKS):
        answers = [scrape(f"{pipeline.metrics_url(stage)}/metrics") for stage in STAGES]
        for one in frame_counts([answer for answer in answers if isinstance(answer, Scrape)]):
            beyond = abs(one.unexplained) + max(0, abs(one.in_flight) - SKEW)
            key = f"{one.path}, {one.stream}"
            best[key] = min(best.get(key, beyond), beyond)
        time.sleep(LOOK_PAUSE_S)
    return best


def growth(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return by which share the memory of all stages together grew."""
    return sum(after.values()) / max(sum(before.values()), 1e-9) - 1
