"""`emostream analyze`: turns recordings into tables, a report and video, and loses no frame."""

import argparse
from pathlib import Path

from emostream.services.cli.analysis import inputs, settings
from emostream.services.cli.analysis.album import analyse_album
from emostream.services.cli.analysis.job import Job, Wishes
from emostream.services.cli.analysis.view import view
from emostream.services.cli.processes.pipeline import ROOT
from emostream.services.cli.results.report.page import (
    require_jinja2,
)
from emostream.services.cli.results.tables.files import require_formats
from emostream.shared.config import load
from emostream.shared.errors import ConfigError

OUT = Path("analysis")
CONFIG = ROOT / "configs" / "analyze.toml"


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
        "--sample", metavar="N/s", help="analyse N pictures a second of the recording, not all"
    )
    parser.add_argument("--no-video", action="store_true", help="write no annotated video")
    parser.add_argument(
        "--resume", action="store_true", help="go on with analyses in DIR that did not end"
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=CONFIG,
        metavar="FILE",
        help="TOML file for the stages (default: configs/analyze.toml)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one key of it"
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines, for programs")
    parser.set_defaults(run=run_analyze)


def run_analyze(options: argparse.Namespace) -> int:
    """Analyse what the options name, one after the other.

    Returns 0, or the highest exit code of a recording: 3 where one breaks off, 1 where nothing of
    it can be read, 4 where a stage could not go on.
    """
    require_formats(("csv", "parquet"))
    require_jinja2()
    config = load(options.config, options.set)
    rate = settings.sample_rate(options.sample) if options.sample else 0.0
    found = inputs.find(options.inputs)
    if options.resume and found.photos:
        raise ConfigError("--resume: photos are analysed in one go; name videos")
    wishes = Wishes(options.out, rate, video=not options.no_video, resume=options.resume)
    codes = [0]
    with view(as_json=options.json) as shown:
        for video in found.videos:
            codes.append(Job(config, wishes, shown).video(video))
        if found.photos:
            codes.append(analyse_album(found.photos, config, options.out, shown))
    return max(codes)
