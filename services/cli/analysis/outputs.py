"""Writes the final files of an analysis, from the database and the recording."""

import contextlib
from pathlib import Path

from emostream.services.capture.ffmpeg.video_file import video_pictures
from emostream.services.capture.pace import sampled
from emostream.services.capture.picture import Pictures
from emostream.services.cli.analysis.estimated_prior import prior_line
from emostream.services.cli.analysis.reporter import Reporter
from emostream.services.cli.analysis.run_file import NAME, RunFile
from emostream.services.cli.results.report.page import (
    MODEL_CARD,
    REPORT,
    ReportFacts,
    write_report,
)
from emostream.services.cli.results.tables.recording import write_tables
from emostream.services.cli.results.video.annotated import ANNOTATED_VIDEO, write_annotated
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.schema import DATABASE
from emostream.shared.errors import SourceError
from emostream.shared.user_path import path_text


def write_results(
    recording: Path,
    folder: Path,
    record: RunFile,
    reporter: Reporter,
    *,
    video: bool,
    card: Path | None = None,
) -> list[str]:
    """Write tables, annotated video and report from the database in `folder`.

    The counts are added to `record`; `card` is the model card, which the report links. Returns the
    names of all files of the analysis.
    """
    if not (folder / DATABASE).exists():
        return [NAME]
    with ArchiveReader(folder / DATABASE) as reader:
        run = next((run for run in reader.runs() if run.id == record.run), None)
        if run is None:
            return [NAME, DATABASE]
        name = path_text(recording.name)
        reporter.start(name, "tables", run.recorded)
        summary = write_tables(reader, [run], folder, tell=reporter.update)
        record.frames_analysed, record.frames_degraded = summary.frames, summary.degraded
        record.observations, record.tracks = summary.faces, summary.tracks
        record.events, record.left_out = summary.events, summary.left_out
        files = [NAME, DATABASE, *summary.files]
        if video and run.recorded:
            reporter.start(name, "annotated video", run.recorded)
            target = folder / ANNOTATED_VIDEO
            write_annotated(
                recording, target, reader, run, lambda done, _: reporter.update(done), record.sample
            )
            files.append(target.name)
        facts = ReportFacts(
            title=name,
            model=record.model["name"],
            sha256=record.model["sha256"],
            version=record.versions["emostream"],
            broken=record.message,
            prior=prior_line(record.prior),
            sampled=f"{record.sample:g}/s" if record.sample else "",
            card=card,
        )
        reporter.start(name, "report", None)
        pictures = _pictures(recording, record.sample)
        write_report(folder, reader, run, facts, recording, pictures)
        return [*files, *([MODEL_CARD] if card else []), REPORT]


def _pictures(recording: Path, sample: float) -> Pictures:
    """Yield the analyzed pictures, as far as they can be read: picture n is frame n."""
    # The file's error was already reported.
    with contextlib.suppress(SourceError):
        yield from sampled(video_pictures(str(recording), lambda line: None), sample)
