"""Analyzes photos in groups."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from emostream.models.tensorflow_runtime import muted_stderr
from emostream.services.cli.analysis.photo_job import photo_recognizer
from emostream.services.cli.batch.chunk_rows import ChunkReport
from emostream.services.cli.batch.media import Media, read_photo
from emostream.services.cli.results.photos.analysis import look_at, photo_columns, photo_rows
from emostream.services.cli.results.tables.columns import Row
from emostream.services.cli.results.tables.files import ParquetFile
from emostream.shared.config import Config
from emostream.shared.errors import SourceError


class PhotoFinder:
    """Finds and classifies the faces in photos."""

    def __init__(self, config: Config) -> None:
        with muted_stderr():
            self._recognizer = photo_recognizer(config)

    def __call__(self, photos: Sequence[Media], report: ChunkReport) -> pa.Table:
        """Return one row per face; the report lists photos that could not be read."""
        labels = self._recognizer.model.labels
        report.labels = labels
        rows: list[Row] = []
        for photo in photos:
            try:
                data = read_photo(photo.url)
                _, _, faces = look_at(photo.name, data, photo.url, self._recognizer)
            except SourceError as error:
                report.unreadable[photo.url] = str(error).removeprefix(f"{photo.url}: ")
                continue
            report.frames += 1
            report.faces += len(faces)
            rows += photo_rows(photo.name, faces, len(labels))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "photos.parquet"
            file = ParquetFile(path, photo_columns(labels))
            file.write(rows)
            file.close()
            return parquet.read_table(path)
