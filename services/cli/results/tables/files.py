"""Writes tables as CSV and Parquet files, a batch of rows at a time."""

import contextlib
import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from emostream.services.cli.results.tables.columns import NS, Column, Kind, Row
from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import RecordingError
from emostream.shared.optional_groups import require

if TYPE_CHECKING:
    import pyarrow as pa

# A batch is a row group of Parquet: large enough to be read fast, small enough for memory.
BATCH_ROWS: Final = 20_000


class Sink(Protocol):
    """A file of rows."""

    def write(self, rows: Sequence[Row]) -> None:
        """Add the rows."""

    def close(self) -> None:
        """Finish the file."""


class CsvFile:
    """Comma-separated values: UTF-8, a header, quotes only where needed, empty for None."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._texts = [column.text for column in columns]
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow([column.name for column in columns])

    def write(self, rows: Sequence[Row]) -> None:
        """Add the rows."""
        self._writer.writerows(
            [
                None if value is None else text(value)
                for text, value in zip(self._texts, row, strict=True)
            ]
            for row in rows
        )

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class ParquetFile:
    """Parquet: seconds and shares as full doubles, moments as UTC timestamps in ns."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        types = {
            Kind.TEXT: pa.string(),
            Kind.COUNT: pa.int64(),
            Kind.MOMENT: pa.timestamp("ns", "UTC"),
        }
        fields = [pa.field(one.name, types.get(one.kind, pa.float64())) for one in columns]
        self._columns = columns
        self._schema = pa.schema(fields)
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Sequence[Row]) -> None:
        """Add the rows as a row group."""
        import pyarrow as pa

        if not rows:
            return
        arrays = [
            self._array(column, values, field.type)
            for column, values, field in zip(
                self._columns, zip(*rows, strict=True), self._schema, strict=True
            )
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

    @staticmethod
    def _array(column: Column, values: Sequence[Any], of: "pa.DataType") -> "pa.Array":
        import pyarrow as pa

        if column.kind is Kind.SECONDS:
            values = [None if ns is None else ns / NS for ns in values]
        return pa.array(values, of)


FORMATS: Final[dict[str, type[CsvFile] | type[ParquetFile]]] = {
    "csv": CsvFile,
    "parquet": ParquetFile,
}


class Table:
    """A table that grows by rows; `rows` counts them."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self.rows = 0
        self._sinks = sinks
        self._waiting: list[Row] = []

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows, whose values are in the order of the columns."""
        before = len(self._waiting)
        self._waiting += rows
        self.rows += len(self._waiting) - before
        if len(self._waiting) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the pending rows."""
        for sink in self._sinks:
            sink.write(self._waiting)
        self._waiting.clear()


@contextlib.contextmanager
def table(
    folder: Path, name: str, columns: Sequence[Column], formats: Collection[str] = ("csv",)
) -> Iterator[Table]:
    """Yield a table that is written to `<folder>/<name>.<format>` in each of the given FORMATS.

    The files appear when they are complete; after an error, there are none. Raises RecordingError
    if they cannot be written.
    """
    chosen = [form for form in FORMATS if form in formats]
    try:
        with contextlib.ExitStack() as files:
            made = Table(
                [
                    files.enter_context(_file(folder / f"{name}.{form}", FORMATS[form], columns))
                    for form in chosen
                ]
            )
            yield made
            made.flush()
    except OSError as error:
        raise RecordingError(
            f"cannot write {name} in {folder}: {error.strerror or error}. "
            "Free some space or allow writing there"
        ) from error


@contextlib.contextmanager
def _file(
    path: Path, kind: type[CsvFile] | type[ParquetFile], columns: Sequence[Column]
) -> Iterator[Sink]:
    with atomic_file(path) as part, contextlib.closing(kind(part, columns)) as sink:
        yield sink


def require_formats(formats: Collection[str]) -> None:
    """Raise MissingPackageError if a format needs a package that is not installed."""
    if "parquet" in formats:
        require("Parquet", "analyze", "pyarrow")
