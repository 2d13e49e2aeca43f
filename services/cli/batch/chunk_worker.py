"""The work of an actor: analyzes one chunk after the other, in one process with one thread."""

import functools
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from emostream.services.capture.ffmpeg.video_range import PictureRange, range_pictures
from emostream.services.capture.pace import sampled
from emostream.services.cli.batch.chunk_rows import (
    ChunkReport,
    FoundFrame,
    chunk_table,
    read_report,
    write_chunk,
)
from emostream.services.cli.batch.chunks import Chunk
from emostream.services.cli.batch.face_finder import FaceFinder
from emostream.services.cli.batch.media import Media, open_video
from emostream.services.cli.batch.photo_chunk import PhotoFinder
from emostream.services.cli.batch.store import Store
from emostream.shared.config import Config
from emostream.shared.errors import SourceError

# How often a chunk may crash its worker before it is skipped.
MOST_ATTEMPTS: Final = 3


class Task(msgspec.Struct, frozen=True):
    """A chunk to analyze: part of a video, or some photos; `folder` is for its file."""

    media: tuple[Media, ...]
    chunk: Chunk
    folder: str

    @property
    def file(self) -> str:
        """The name of the chunk's file in the store."""
        return f"{self.folder}/chunk-{self.chunk.number:06}.parquet"


class ChunkWorker:
    """Writes the file of each chunk, unless it already exists.

    `session` identifies this run of the command. A chunk that crashed its worker MOST_ATTEMPTS
    times in it, as a damaged file may, is reported and not retried.
    """

    def __init__(self, config: Config, store: Store, sample: float, session: str) -> None:
        self._config, self._store = config, store
        self._sample, self._session = sample, session

    def __call__(self, task: Task) -> ChunkReport:
        """Analyze a chunk; return its report, with anything that could not be read."""
        if self._store.exists(task.file):
            with self._store.open(task.file) as file:
                return read_report(file)
        media = task.media[0]
        attempts = self._begin(task)
        report = ChunkReport(
            recording=media.recording,
            number=task.chunk.number,
            session=self._session,
            attempts=attempts,
        )
        began, cpu = time.perf_counter(), time.process_time()
        if attempts > MOST_ATTEMPTS:
            report.error = f"{media.name}: the process that read it ended {MOST_ATTEMPTS} times"
            table = chunk_table([])
        elif media.is_photo:
            table = self._photos(task.media, report)
        else:
            table = chunk_table(self._frames(media, task.chunk, report))
        report.seconds = time.perf_counter() - began
        report.cpu_seconds = time.process_time() - cpu
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "chunk.parquet"
            write_chunk(table, report, path)
            self._store.put(path, task.file)
        return report

    @functools.cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder(self._config)

    @functools.cached_property
    def _photos(self) -> PhotoFinder:
        return PhotoFinder(self._config)

    def _frames(self, media: Media, chunk: Chunk, report: ChunkReport) -> list[FoundFrame]:
        """Return the frames of a chunk and those before its start, as far as readable."""
        finder = self._finder
        report.labels = finder.labels
        part = PictureRange(chunk.first, chunk.warm, chunk.end, chunk.key, chunk.before)
        skipped: list[str] = []
        pictures = range_pictures(
            lambda: open_video(media.url), media.name, part, skipped.append, planar=finder.planar
        )
        frames: list[FoundFrame] = []
        try:
            for frame in finder.frames(
                media.recording, sampled(pictures, self._sample), chunk.warm_frame
            ):
                frames.append(frame)
        except SourceError as error:
            report.error = str(error)
        own = [frame for frame in frames if frame.pts >= chunk.start]
        report.frames, report.faces = len(own), sum(len(frame.faces) for frame in own)
        report.skipped = len(skipped)
        return frames

    def _begin(self, task: Task) -> int:
        """Record the start of work on the chunk; return the number of starts in this run."""
        attempts = 1
        while self._store.exists(self._mark(task, attempts)):
            attempts += 1
        self._store.put_text("", self._mark(task, attempts))
        return attempts

    def _mark(self, task: Task, attempt: int) -> str:
        return f"{task.folder}/begun/{self._session}-{task.chunk.number:06}-{attempt}"
