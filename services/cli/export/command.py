"""`emostream export`: writes result tables from the recorder's database of live sessions."""

import argparse
import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from emostream.services.cli.given_config import given_config
from emostream.services.cli.options import add_config_options
from emostream.services.cli.results.folder import fresh_folder
from emostream.services.cli.results.tables.files import FORMATS, require_formats
from emostream.services.cli.results.tables.recording import TableSummary, write_tables
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import Run
from emostream.services.recorder.archive.schema import DATABASE
from emostream.shared.errors import ConfigError, ExitCode, RecordingError
from emostream.shared.fields import STREAM_PATTERN
from emostream.shared.left_out import left_out_text
from emostream.shared.plural import counted
from emostream.shared.progress import ProgressBar

FOLDER = Path("export")
# The maximum number of names listed in a line.
MOST_NAMED = 10


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "database",
        type=Path,
        nargs="?",
        metavar="DB",
        help=(
            "the recorder's database; recording may continue (default: the one in recorder.folder)"
        ),
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=FOLDER,
        metavar="DIR",
        help="where to create one folder per stream; cam1-2 if cam1 exists (default: %(default)s)",
    )
    parser.add_argument(
        "--stream", nargs="+", action="extend", default=[], metavar="NAME", help="only these"
    )
    parser.add_argument(
        "--run",
        nargs="+",
        action="extend",
        default=[],
        metavar="ID",
        dest="runs",
        help="only these runs",
    )
    parser.add_argument(
        "--format",
        type=_formats,
        default=tuple(FORMATS),
        metavar="csv,parquet",
        help="of the observations (default: both); events and tracks are CSV",
    )
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    add_config_options(parser, example="recorder.folder=/data/sessions")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the tables of each stream and print their contents."""
    require_formats(options.format)
    summaries = []
    database = options.database or Path(given_config(options).load().recorder.folder) / DATABASE
    with ArchiveReader(database) as reader:
        chosen = _chosen(reader, options.stream, options.runs)
        for stream, runs in itertools.groupby(chosen, key=lambda run: run.stream):
            summary = _export(reader, stream, list(runs), options)
            summaries.append(summary)
            if not options.json:
                print(_line(summary))
    if options.json:
        print(json.dumps([dataclasses.asdict(summary) for summary in summaries], indent=2))
    return ExitCode.OK


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not set(names) <= set(FORMATS):
        raise argparse.ArgumentTypeError(f"{text!r} is not csv, parquet or csv,parquet")
    return names


def _chosen(reader: ArchiveReader, streams: Sequence[str], runs: Sequence[str]) -> list[Run]:
    """Return the runs to export, by stream and start."""
    held = [run for run in reader.runs() if run.recorded or run.events]
    if not held:
        raise RecordingError(f"{reader.path} contains no frames: record a stream first")
    _known("stream", streams, [run.stream for run in held])
    wanted = [run for run in held if not streams or run.stream in streams]
    _known("run", runs, [run.id for run in wanted])
    return [run for run in wanted if not runs or run.id in runs]


def _known(what: str, asked: Sequence[str], there: Sequence[str]) -> None:
    names = list(dict.fromkeys(there))
    for name in asked:
        if name not in names:
            known = ", ".join(names[-MOST_NAMED:])
            raise ConfigError(f"no {what} {name} is recorded; there is {known}")


def _export(
    reader: ArchiveReader, stream: str, runs: Sequence[Run], options: argparse.Namespace
) -> TableSummary:
    if not STREAM_PATTERN.fullmatch(stream):
        # It becomes a folder name, and must not lead elsewhere.
        raise RecordingError(f"{reader.path} is damaged: it names a stream {stream!r}")
    with ProgressBar(stream, sum(run.recorded for run in runs), "frames") as bar:
        return write_tables(
            reader,
            runs,
            fresh_folder(options.out, stream),
            formats=options.format,
            live=True,
            tell=bar.update,
        )


def _line(summary: TableSummary) -> str:
    counts = [
        f"{counted(summary.frames, 'frame')} in {counted(len(summary.runs), 'run')}",
        counted(summary.faces, "face"),
        counted(summary.tracks, "track"),
        counted(summary.events, "event"),
        *filter(None, [left_out_text(summary.left_out)]),
        *(
            f"{count} {state}"
            for state in ("missing", "partial", "degraded", "pruned")
            if (count := getattr(summary, state))
        ),
    ]
    return f"{summary.stream}: {', '.join(counts)} -> {summary.folder}"
