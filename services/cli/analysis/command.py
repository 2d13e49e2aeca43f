"""`emostream analyze`: turns recordings into tables, a report and video, and loses no frame."""

import argparse
import logging
import sys
from dataclasses import asdict
from pathlib import Path

from emostream.services.cli.analysis import inputs
from emostream.services.cli.analysis.earlier_summaries import EarlierSummaries
from emostream.services.cli.analysis.inputs import Skipped, stream_names
from emostream.services.cli.analysis.photo_job import run_photo_job
from emostream.services.cli.analysis.prior_options import ESTIMATE, has_prior, with_prior
from emostream.services.cli.analysis.recording_config import sample_rate
from emostream.services.cli.analysis.reporter import Reporter, reporter
from emostream.services.cli.analysis.resume import analyses_in, resume_command
from emostream.services.cli.analysis.summary import Summary
from emostream.services.cli.analysis.video_job import AnalyzeOptions, VideoJob
from emostream.services.cli.options import add_config_options, add_prior_options
from emostream.services.cli.results.report.page import require_jinja2
from emostream.services.cli.results.tables.files import require_formats
from emostream.shared.config import load
from emostream.shared.errors import ConfigError, ExitCode, RecordingError, WeightsError
from emostream.shared.shipped_files import CONFIGS
from emostream.shared.user_path import path_text

OUT = Path("analysis")
CONFIG = CONFIGS / "analyze.toml"
# The exit code for several recordings: the one that comes last in this list.
BY_SEVERITY = (ExitCode.OK, ExitCode.FAILURE, ExitCode.INCOMPLETE, ExitCode.STOPPED)
log = logging.getLogger("emostream")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="VIDEO",
        help="video or photo files, folders, or patterns; with --resume it may be left out",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=OUT,
        metavar="DIR",
        help="where to create one folder per recording (default: %(default)s)",
    )
    parser.add_argument(
        "--sample",
        metavar="N/s",
        help="analyze N pictures per second of the recording instead of all",
    )
    parser.add_argument("--recursive", action="store_true", help="also search subfolders")
    parser.add_argument("--no-video", action="store_true", help="do not write an annotated video")
    parser.add_argument("--resume", action="store_true", help="continue unfinished analyses in DIR")
    add_prior_options(parser, more=f", or {ESTIMATE}to fit it to each recording, without labels")
    add_config_options(parser, shown="analyze")
    parser.add_argument("--json", action="store_true", help="print JSON lines for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Analyze the inputs one after the other, or continue unfinished analyses.

    Returns the most severe exit code of a recording: STOPPED if a stage could not continue,
    INCOMPLETE if a recording fails, FAILURE if nothing of it can be read.
    """
    require_formats(("csv", "parquet"))
    require_jinja2()
    with reporter(as_json=options.json) as shown:
        if options.inputs:
            return _analyze(options, shown)
        if options.resume:
            return _resume_all(options, shown)
    raise ConfigError(
        "name a VIDEO, a folder or a pattern, or use --resume to continue unfinished analyses "
        "in --out"
    )


def _analyze(options: argparse.Namespace, shown: Reporter) -> ExitCode:
    config = with_prior(load(options.config or CONFIG, options.set), options)
    rate = sample_rate(options.sample) if options.sample else 0.0
    found = inputs.find(options.inputs, recursive=options.recursive, results=options.out)
    if options.resume and not found.videos:
        raise ConfigError("--resume: photos cannot be resumed; name videos")
    asked = AnalyzeOptions(
        options.out,
        rate,
        video=not options.no_video,
        resume=options.resume,
        estimate=options.prior == ESTIMATE,
    )
    if found.skipped:
        line = inputs.skipped_line(found.skipped, recursive=options.recursive)
        shown.note(line, {"skipped": inputs.count_kinds(found.skipped)})
    listed = EarlierSummaries(options.out, shown) if options.resume else shown
    summary = Summary(found, options.out, listed)
    streams = stream_names(found.videos)
    jobs = [VideoJob(video, streams[video], config, asked, summary) for video in found.videos]
    codes = [ExitCode.OK, *(_refuse(one, summary) for one in found.refused)]
    try:
        for video, job in zip(found.videos, jobs, strict=True):
            with summary.about(video):
                codes.append(job.run())
        if found.photos:
            with summary.about(*found.photos):
                codes.append(run_photo_job(found.photos, config, asked, summary))
    except KeyboardInterrupt:
        # The results folder contains only analyses that were started.
        all_begun = all(job.has_begun for job in jobs) and not found.photos
        _show_resume(resume_command(options, resume=bool(jobs), with_inputs=not all_begun), shown)
        raise
    return max(codes, key=BY_SEVERITY.index)


def _refuse(one: Skipped, summary: Summary) -> ExitCode:
    """Report a named input that cannot be analyzed."""
    with summary.about(one.path):
        message = f"{path_text(one.path)}: {one.reason}"
        facts = {"status": "unreadable", "message": message}
        summary.end(path_text(one.path.name), f"error: {message}", facts)
    return ExitCode.FAILURE


def _resume_all(options: argparse.Namespace, shown: Reporter) -> ExitCode:
    """Continue each analysis in the results folder from its run file."""
    if options.config or options.set or options.sample or has_prior(options):
        raise ConfigError(
            "--resume without a VIDEO takes --config, --set, --sample and --prior from the run "
            "files: leave them out"
        )
    found = analyses_in(options.out)
    unfinished = [each for each in found if not each.is_whole]
    listed = EarlierSummaries(options.out, shown)
    for analysis in found:
        if analysis.is_whole:
            # The run may have been killed before it recorded that.
            listed.correct({"folder": str(analysis.folder), **asdict(analysis.record)})
    if not unfinished:
        log.info("nothing to resume in %s", options.out)
    codes = [ExitCode.OK]
    for analysis in unfinished:
        record = analysis.record
        video = record.video and not options.no_video
        asked = AnalyzeOptions(options.out, record.sample, video=video, resume=True)
        try:
            job = VideoJob(
                analysis.input, record.stream, analysis.config, asked, listed, resumed=analysis
            )
            codes.append(job.run())
        except (ConfigError, RecordingError, WeightsError) as error:
            facts = {"folder": str(analysis.folder), "status": "refused", "message": str(error)}
            shown.end(path_text(analysis.input.name), f"error: {error}", facts)
            codes.append(ExitCode.FAILURE)
        except KeyboardInterrupt:
            _show_resume(resume_command(options, resume=True, with_inputs=False), shown)
            raise
    return max(codes, key=BY_SEVERITY.index)


def _show_resume(command: str, shown: Reporter) -> None:
    shown.close()
    print(f"continue with: {command}", file=sys.stderr)
