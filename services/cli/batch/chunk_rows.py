"""The results of a chunk and their file: Parquet with one row per face."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec
import pyarrow as pa
from msgspec.structs import astuple
from pyarrow import parquet

from emostream.shared.messages import Box, Quality

# The metadata key of the chunk's report, as JSON.
REPORT: Final = b"emostream"
MEASURES: Final = Quality.__struct_fields__
BOX: Final = ("x", "y", "width", "height")
SCHEMA: Final = pa.schema(
    [
        pa.field("pts", pa.int64(), nullable=False),
        pa.field("degraded", pa.bool_(), nullable=False),
        # Without a track the frame has no face.
        pa.field("track", pa.int64()),
        *(pa.field(name, pa.float64()) for name in (*BOX, "score", *MEASURES)),
        # The model's exact output.
        pa.field("probabilities", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face in a picture; `track` is its number in the chunk.

    `probabilities` are in the order of the model's labels, () if the model failed.
    """

    track: int
    box: Box
    score: float
    quality: Quality | None
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FoundFrame:
    """A picture at `pts` ns with its faces; `degraded` if they could not be classified."""

    pts: int
    degraded: bool
    faces: tuple[FoundFace, ...]


class ChunkReport(msgspec.Struct, kw_only=True):
    """The report of a chunk, stored with its rows.

    `frames` and `faces` count from its start on, `skipped` pictures could not be decoded. `error`
    is the reason if the recording ends early in it, otherwise "". `unreadable` maps photos to why
    they cannot be read. `seconds` and `cpu_seconds` are its cost, `attempts` is how often it was
    started in the command's run `session`.
    """

    recording: str
    number: int
    session: str = ""
    frames: int = 0
    faces: int = 0
    skipped: int = 0
    error: str = ""
    unreadable: dict[str, str] = {}
    labels: tuple[str, ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    attempts: int = 1


def chunk_table(frames: Sequence[FoundFrame]) -> pa.Table:
    """Return the table of a chunk's frames, including those before its start."""
    rows = [
        (frame.pts, frame.degraded, *_values(face))
        for frame in frames
        for face in frame.faces or (None,)
    ]
    columns = zip(*rows, strict=True) if rows else itertools.repeat((), len(SCHEMA))
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def write_chunk(table: pa.Table, report: ChunkReport, path: Path) -> None:
    """Write the file of a chunk: its table, with its report in the metadata."""
    noted = table.replace_schema_metadata({REPORT: msgspec.json.encode(report)})
    parquet.write_table(noted, path, compression="zstd")


def read_report(file: IO[bytes]) -> ChunkReport:
    """Return the report in the file of a chunk."""
    return msgspec.json.decode(parquet.read_schema(file).metadata[REPORT], type=ChunkReport)


def read_frames(file: IO[bytes]) -> list[FoundFrame]:
    """Return the frames in the file of a chunk."""
    table = parquet.read_table(file)
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return [
        FoundFrame(pts, degraded, tuple(_faces(of_frame)))
        for (pts, degraded), of_frame in itertools.groupby(rows, lambda row: (row[0], row[1]))
    ]


def _values(face: FoundFace | None) -> tuple[object, ...]:
    if face is None:
        return (None,) * (len(SCHEMA) - 2)
    measures = astuple(face.quality) if face.quality else (None,) * len(MEASURES)
    return face.track, *face.box, face.score, *measures, list(face.probabilities)


def _faces(rows: Iterator[tuple[object, ...]]) -> Iterator[FoundFace]:
    for _, _, track, x, y, width, height, score, *measures, probabilities in rows:
        if track is None:
            continue
        quality = None if measures[-1] is None else Quality(*measures)  # type: ignore[arg-type]
        yield FoundFace(track, (x, y, width, height), score, quality, tuple(probabilities))  # type: ignore[arg-type]
