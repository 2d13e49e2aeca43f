"""Finishes a recording: joins its chunks into results, and removes the chunks."""

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
from pyarrow import parquet

from emostream.services.cli.analysis.recording_config import for_few_frames
from emostream.services.cli.analysis.run_file import RunFile, StageUse
from emostream.services.cli.batch.chunk_rows import (
    ChunkReport,
    FoundFrame,
    read_frames,
    read_report,
)
from emostream.services.cli.batch.chunk_worker import Task
from emostream.services.cli.batch.chunks import Chunk
from emostream.services.cli.batch.join import joined_frames
from emostream.services.cli.batch.plan import Plan
from emostream.services.cli.batch.results import finished_key, run_name, write_recording
from emostream.services.cli.batch.store import Store
from emostream.shared.config import Config

PHOTO_TABLE: Final = "photos/photos.parquet"


class Ended(msgspec.Struct, kw_only=True):
    """The outcome of a recording, or of all photos, for the summary.

    `status` is that of a run file, or `unreadable`. `seconds` and `cpu_seconds` are the totals of
    its chunks, `repeated` is the number of restarted chunks, and `reused` the number completed by
    an earlier run. `unreadable` maps photos to why they could not be read.
    """

    recording: str
    status: str
    frames: int = 0
    faces: int = 0
    tracks: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    chunks: int = 0
    repeated: int = 0
    reused: int = 0
    message: str = ""
    unreadable: dict[str, str] = {}


def finish_video(plan: Plan, config: Config, about: RunFile, session: str, store: Store) -> Ended:
    """Write the results of a video whose chunks are complete, and remove the chunks.

    `about` has the fields of the run file that all videos share, `session` identifies this run of
    the command. Repeating it is safe.
    """
    if finished_key(store, plan.media.recording) == plan.key:
        # The process that wrote the results was lost before it could report that.
        store.remove(plan.folder)
        return known_end(plan.media.recording, store)
    settings = for_few_frames(config, plan.expected).classifier
    reports = list(_reports([task.file for task in video_tasks(plan)], store))
    good = _up_to_break(plan.chunks, reports)
    broken = next((report.error for report in reports if report.error), "")
    use = StageUse(
        frames=sum(report.frames for report in reports),
        busy_seconds=sum(report.seconds for report in reports),
        cpu_seconds=sum(report.cpu_seconds for report in reports),
        restarts=sum(report.attempts - 1 for report in reports),
    )
    record = dataclasses.replace(
        about,
        stream=plan.media.recording,
        input=plan.facts,
        status="broken" if broken else "complete",
        message=broken,
        seconds=use.busy_seconds,
        frames_skipped=sum(report.skipped for report in reports),
        stages={"batch": use},
    )

    def read(chunk: Chunk) -> list[FoundFrame]:
        with store.open(Task((plan.media,), chunk, plan.folder).file) as file:
            return read_frames(file)

    facts = {"key": plan.key, "chunks": len(plan.chunks)}
    labels = next((report.labels for report in reports if report.labels), ())
    write_recording(joined_frames(good, read), labels, settings, record, facts, store)
    store.remove(plan.folder)
    return Ended(
        recording=record.stream,
        status=record.status,
        frames=record.frames_analysed,
        faces=record.observations,
        tracks=record.tracks,
        message=broken,
        **_work(reports, session),
    )


def video_tasks(plan: Plan) -> list[Task]:
    """Return a task for each chunk of a video."""
    return [Task((plan.media,), chunk, plan.folder) for chunk in plan.chunks]


def finish_photos(tasks: list[Task], about: RunFile, key: str, session: str, store: Store) -> Ended:
    """Write the results of all photos, whose chunks are complete, and remove the chunks."""
    recording = tasks[0].media[0].recording
    if finished_key(store, recording) == key:
        store.remove(tasks[0].folder)
        return known_end(recording, store)
    names = [task.file for task in tasks]
    reports = list(_reports(names, store))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photos.parquet"
        parquet.write_table(_concatenated(names, store), path, compression="zstd")
        store.put(path, PHOTO_TABLE)
    unreadable = {name: why for report in reports for name, why in report.unreadable.items()}
    ended = Ended(
        recording=recording,
        status="complete",
        frames=sum(report.frames for report in reports),
        faces=sum(report.faces for report in reports),
        unreadable=unreadable,
        **_work(reports, session),
    )
    facts = {
        "photos": [media.url for task in tasks for media in task.media],
        "faces": ended.faces,
        "unreadable": unreadable,
        "model": about.model,
        "prior": about.prior,
        "config": about.config,
        "versions": about.versions,
        "files": [PHOTO_TABLE],
        "batch": {"key": key, "chunks": len(tasks)},
    }
    store.put_json(facts, run_name(recording))
    store.remove(tasks[0].folder)
    return ended


def known_end(recording: str, store: Store) -> Ended:
    """Return the outcome of a recording whose results were written by an earlier run."""
    tree = store.read_json(run_name(recording))
    return Ended(
        recording=recording,
        status=tree.get("status", "complete"),
        frames=tree.get("frames_analysed", len(tree.get("photos", ()))),
        faces=tree.get("observations", tree.get("faces", 0)),
        tracks=tree.get("tracks", 0),
        seconds=tree.get("seconds", 0.0),
        chunks=tree["batch"]["chunks"],
        message=tree.get("message", ""),
        unreadable=tree.get("unreadable", {}),
    )


def _work(reports: list[ChunkReport], session: str) -> dict[str, Any]:
    """Return the fields of Ended about the work on the chunks."""
    return {
        "seconds": sum(report.seconds for report in reports),
        "cpu_seconds": sum(report.cpu_seconds for report in reports),
        "chunks": len(reports),
        "repeated": sum(report.attempts - 1 for report in reports),
        "reused": sum(report.session != session for report in reports),
    }


def _reports(names: list[str], store: Store) -> Iterator[ChunkReport]:
    for name in names:
        with store.open(name) as file:
            yield read_report(file)


def _up_to_break(chunks: tuple[Chunk, ...], reports: list[ChunkReport]) -> list[Chunk]:
    """Return the chunks up to the one in which the recording ends early."""
    errors = [place for place, report in enumerate(reports) if report.error]
    return list(chunks[: errors[0] + 1] if errors else chunks)


def _concatenated(names: list[str], store: Store) -> pa.Table:
    tables = []
    for name in names:
        with store.open(name) as file:
            table = parquet.read_table(file).replace_schema_metadata(None)
        if "photo" in table.column_names:  # photos that crashed their worker have none
            tables.append(table)
    return pa.concat_tables(tables) if tables else pa.table({})
