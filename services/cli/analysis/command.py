"""`emostream analyze`: turns recordings into tables, a report and video, and loses no frame."""

import argparse
from pathlib import Path

from emostream.services.cli.analysis import inputs
from emostream.services.cli.analysis.photo_job import run_photo_job
from emostream.services.cli.analysis.recording_config import sample_rate
from emostream.services.cli.analysis.reporter import reporter
from emostream.services.cli.analysis.video_job import AnalyzeOptions, VideoJob
from emostream.services.cli.options import add_config_options
from emostream.services.cli.results.report.page import require_jinja2
from emostream.services.cli.results.tables.files import require_formats
from emostream.shared.config import load
from emostream.shared.errors import ConfigError, ExitCode
from emostream.shared.shipped_files import CONFIGS

OUT = Path("analysis")
CONFIG = CONFIGS / "analyze.toml"
# What an analysis of several recordings ends with: that of the last one in this list.
BY_SEVERITY = (ExitCode.OK, ExitCode.FAILURE, ExitCode.INCOMPLETE, ExitCode.STOPPED)


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
    parser.add_argument("--no-video", action="store_true", help="write no annotated video")
    parser.add_argument(
        "--resume", action="store_true", help="go on with analyses in DIR that did not end"
    )
    add_config_options(parser, CONFIG, shown="analyze")
    parser.add_argument("--json", action="store_true", help="print JSON lines, for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Analyze what the options name, one after the other.

    Returns the gravest exit code of a recording: STOPPED where a stage could not go on, INCOMPLETE
    where one breaks off, FAILURE where nothing of it can be read.
    """
    require_formats(("csv", "parquet"))
    require_jinja2()
    config = load(options.config, options.set)
    rate = sample_rate(options.sample) if options.sample else 0.0
    found = inputs.find(options.inputs)
    if options.resume and found.photos:
        raise ConfigError("--resume: photos are analyzed in one go; name videos")
    asked = AnalyzeOptions(options.out, rate, video=not options.no_video, resume=options.resume)
    codes = [ExitCode.OK]
    with reporter(as_json=options.json) as shown:
        for video in found.videos:
            codes.append(VideoJob(video, config, asked, shown).run())
        if found.photos:
            codes.append(run_photo_job(found.photos, config, options.out, shown))
    return max(codes, key=BY_SEVERITY.index)
