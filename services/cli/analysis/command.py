"""`emostream analyze`: turns recordings into tables, a report and video, and loses no frame."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from emostream.services.cli.analysis import inputs
from emostream.services.cli.analysis.inputs import Inputs, stream_names
from emostream.services.cli.analysis.photo_job import run_photo_job
from emostream.services.cli.analysis.recording_config import sample_rate
from emostream.services.cli.analysis.reporter import reporter
from emostream.services.cli.analysis.summary import Summary
from emostream.services.cli.analysis.video_job import UNREADABLE, AnalyzeOptions, VideoJob
from emostream.services.cli.options import add_config_options
from emostream.services.cli.results.report.page import require_jinja2
from emostream.services.cli.results.tables.files import require_formats
from emostream.shared.config import Config, load
from emostream.shared.errors import ConfigError
from emostream.shared.shipped_files import CONFIGS
from emostream.shared.user_path import path_text

OUT = Path("analysis")
CONFIG = CONFIGS / "analyze.toml"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "inputs", nargs="+", metavar="VIDEO", help="video or photo files, folders, or patterns"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=OUT,
        metavar="DIR",
        help="a folder a recording goes here (%(default)s)",
    )
    parser.add_argument(
        "--sample", metavar="N/s", help="analyze N pictures a second of the recording, not all"
    )
    parser.add_argument("--recursive", action="store_true", help="take the folders in a folder too")
    parser.add_argument("--no-video", action="store_true", help="write no annotated video")
    parser.add_argument(
        "--resume", action="store_true", help="go on with analyses in DIR that did not end"
    )
    add_config_options(parser, CONFIG, shown="analyze")
    parser.add_argument("--json", action="store_true", help="print JSON lines, for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Analyze what the options name, one after the other.

    Returns 0, or the highest exit code of a recording: 3 where one breaks off, 1 where nothing of
    it can be read, 4 where a stage could not go on.
    """
    require_formats(("csv", "parquet"))
    require_jinja2()
    config = load(options.config, options.set)
    rate = sample_rate(options.sample) if options.sample else 0.0
    found = inputs.find(options.inputs, recursive=options.recursive, results=options.out)
    if options.resume and found.photos:
        raise ConfigError("--resume: photos are analyzed in one go; name videos")
    asked = AnalyzeOptions(options.out, rate, video=not options.no_video, resume=options.resume)
    with reporter(as_json=options.json) as shown:
        if found.skipped:
            line = inputs.skipped_line(found.skipped, recursive=options.recursive)
            shown.note(line, {"skipped": inputs.count_kinds(found.skipped)})
        return max(_codes(found, config, asked, Summary(found, options.out, shown)), default=0)


def _codes(found: Inputs, config: Config, asked: AnalyzeOptions, summary: Summary) -> Iterator[int]:
    """Analyze each input; yield the exit code of each video, and one for all photos."""
    for one in found.refused:
        with summary.about(one.path):
            message = f"{path_text(one.path)}: {one.reason}"
            facts = {"status": "unreadable", "message": message}
            summary.end(path_text(one.path.name), f"error: {message}", facts)
        yield UNREADABLE
    streams = stream_names(found.videos)
    for video in found.videos:
        with summary.about(video):
            code = VideoJob(video, streams[video], config, asked, summary).run()
        yield code
    if found.photos:
        with summary.about(*found.photos):
            code = run_photo_job(found.photos, config, asked.out, summary)
        yield code
