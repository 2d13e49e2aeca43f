"""Selects what to replay: the database, its runs, and their pictures."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.replay.pictures import RunPictures, analyzed_pictures, recorded_pictures
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import Run
from emostream.services.recorder.archive.schema import DATABASE
from emostream.services.recorder.archive.video_files import VideoFileName, video_files_of
from emostream.shared.errors import ConfigError, RecordingError
from emostream.shared.fields import STREAM_PATTERN

MAGIC: Final = b"SQLite format 3\0"
TABLES: Final = (".parquet", ".csv")
# The number of runs to list if the requested one does not exist.
MOST_NAMED: Final = 5
log = logging.getLogger("emostream")


@dataclass(frozen=True, slots=True)
class Selection:
    """The runs of a database to replay, by stream and beginning.

    `name` replaces the stream's name if it is not empty. Without `pictures`, none are shown;
    `video` is the file with the pictures, None if they are in the recorder's files next to the
    database.
    """

    path: Path
    runs: Sequence[Run]
    name: str
    video: Path | None
    pictures: bool

    def __str__(self) -> str:
        streams = _comma_separated({run.stream for run in self.runs})
        counts = {
            "run": len({run.id for run in self.runs}),
            "frame": sum(run.recorded for run in self.runs),
            "event": sum(run.events for run in self.runs),
        }
        listed = ", ".join(f"{n:,} {what}{'s' * (n != 1)}" for what, n in counts.items())
        return f"{streams}: {listed}{', with pictures' * self.pictures}"

    def open_pictures(self, reader: ArchiveReader, run: Run) -> RunPictures:
        """Open the pictures of a run."""
        if self.video and not VideoFileName.parse(self.video):
            return analyzed_pictures(self.video)
        files = [self.video] if self.video else video_files_of(run, self.path.parent)
        return recorded_pictures(files, reader.frame_rows(run))


def select(options: argparse.Namespace) -> Selection:
    """Return the selection by the command's options.

    Raises ConfigError if something does not exist, and RecordingError if the database is unreadable
    or empty.
    """
    path = database(options.recording)
    with ArchiveReader(path) as reader:
        runs = _chosen(_replayable(reader.runs(), path), options)
    if options.name and len({run.stream for run in runs}) > 1:
        raise ConfigError(f"--as {options.name}: renames one stream; select it with --stream")
    if options.name and not STREAM_PATTERN.fullmatch(options.name):
        raise ConfigError(f"--as {options.name}: a stream's name is like cam1 or door_2")
    if options.video and len({run.stream for run in runs}) > 1:
        raise ConfigError(f"--video {options.video}: shows one stream; select it with --stream")
    if options.video and not options.video.is_file():
        raise ConfigError(f"--video {options.video}: no such file")
    if not options.pictures:
        return Selection(path, runs, options.name, None, False)
    video = options.video or _analyzed_video(path.parent)
    beside = any(video_files_of(run, path.parent) for run in runs)
    return Selection(path, runs, options.name, video, bool(video) or beside)


def _analyzed_video(folder: Path) -> Path | None:
    """Return the input file of the analysis in this folder, if it still exists unchanged."""
    try:
        facts = RunFile.read(folder).input
    except RecordingError:
        return None
    path = Path(str(facts.get("path")))
    if path.is_file() and path.stat().st_size == facts.get("bytes"):
        return path
    log.warning(
        "%s is missing or has changed since the analysis; name another file with --video", path
    )
    return None


def database(path: Path) -> Path:
    """Return the database for a path: itself, or the one in a folder or next to a table.

    Raises ConfigError for other files, such as a video.
    """
    if path.is_dir():
        return path / DATABASE
    if path.suffix in TABLES:
        beside = path.with_name(DATABASE)
        if not beside.exists():
            raise ConfigError(
                f"{path}: a table is replayed from its {DATABASE}, which is not next to it"
            )
        return beside
    if path.is_file() and path.suffix != ".db" and not _is_database(path):
        raise ConfigError(
            f"{path}: not a database. A video is a source, not a recording: "
            f"`emostream analyze` analyzes it, and `emostream capture` plays it (capture.sources)"
        )
    return path


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error


def _replayable(runs: Sequence[Run], path: Path) -> list[Run]:
    """Return the runs with something to replay: rows, or the end of an empty source."""
    if not any(run.recorded or run.events for run in runs):
        raise RecordingError(f"{path} contains no frames or events to replay")
    return [run for run in runs if run.recorded or run.events or run.frames == 0]


def _chosen(runs: Sequence[Run], options: argparse.Namespace) -> list[Run]:
    streams = {run.stream for run in runs}
    for stream in options.stream:
        if stream not in streams:
            raise ConfigError(
                f"--stream {stream}: not found; choose from {_comma_separated(streams)}"
            )
    chosen = [run for run in runs if run.stream in (options.stream or streams)]
    if options.run_id is None:
        return chosen
    named = [run for run in chosen if run.id == options.run_id]
    if not named:
        raise ConfigError(f"--run {options.run_id}: not found; {_latest(chosen)}")
    return named


def _comma_separated(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _latest(runs: Sequence[Run]) -> str:
    latest = sorted(runs, key=lambda run: run.began, reverse=True)[:MOST_NAMED]

    def described() -> Iterator[str]:
        for run in latest:
            yield f"{run.id} ({run.stream}, {datetime.fromtimestamp(run.began / 1e9):%d %b %H:%M})"

    return f"the latest of {len(runs)}: {', '.join(described())}"
