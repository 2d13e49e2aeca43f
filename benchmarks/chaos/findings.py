"""The checks after the faults: files, rows, frame counts, and memory."""

import contextlib
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import av

from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.frame_counts import FrameCounts, frame_counts
from emostream.shared.metric_samples import Scrape
from emostream.shared.scraping import scrape

# The tolerance for a live stream, because processes are not read at the same instant.
MAX_IN_FLIGHT: Final = 20
LOOKS: Final = 5
LOOK_PAUSE_S: Final = 0.5


def unreadable_videos(folder: Path) -> tuple[int, list[str]]:
    """Return the number of videos, and those that do not open or have no picture."""
    videos = sorted(folder.rglob("*.mp4"))
    return len(videos), [str(path.relative_to(folder)) for path in videos if not _opens(path)]


def _opens(path: Path) -> bool:
    try:
        with av.open(path) as video:
            return next(video.decode(video=0), None) is not None
    except (av.FFmpegError, IndexError):
        return False


def missing_rows(database: Path, credited: set[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Return the frames (stream, run, seq) that were credited but have no row."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = set(connection.execute("SELECT stream, run, seq FROM frames"))
    return sorted(credited - rows)


def sums(pipeline: Pipeline) -> list[FrameCounts]:
    """Return the counts of each path and stream, from the reading with the fewest unexplained."""
    best: dict[tuple[str, str, int | None], FrameCounts] = {}
    for _ in range(LOOKS):
        answers = [scrape(f"{pipeline.metrics_url(stage)}/metrics") for stage in STAGES]
        for one in frame_counts([answer for answer in answers if isinstance(answer, Scrape)]):
            key = (one.path, one.stream, one.part)
            best[key] = min(best.get(key, one), one, key=unexplained)
        time.sleep(LOOK_PAUSE_S)
    return list(best.values())


def unexplained(counts: FrameCounts) -> int:
    """Return the number of unexplained frames.

    Only a few frames are in flight at a time, so more than a few of these are unexplained too.
    """
    return abs(counts.unexplained) + max(0, abs(counts.in_flight) - MAX_IN_FLIGHT)


def growth(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the growth of the total memory of all stages, as a share."""
    return sum(after.values()) / max(sum(before.values()), 1e-9) - 1
