"""`emostream batch`: analyzes any number of videos and photos on Ray Data."""

import argparse
import re
import secrets
from pathlib import Path
from typing import Final

import msgspec

from emostream.services.cli.analysis import inputs as local_inputs
from emostream.services.cli.analysis.prior_options import with_prior
from emostream.services.cli.analysis.recording_config import check_detector, sample_rate
from emostream.services.cli.batch.batch import Batch, Settings
from emostream.services.cli.batch.cluster import cluster
from emostream.services.cli.batch.inputs import find
from emostream.services.cli.batch.plan import Cutting
from emostream.services.cli.batch.store import Store, is_remote
from emostream.services.cli.batch.view import BarView, JsonView
from emostream.services.cli.options import add_config_options, add_prior_options, positive
from emostream.shared.config import Config, load
from emostream.shared.errors import ConfigError
from emostream.shared.optional_groups import require
from emostream.shared.shipped_files import CONFIGS
from emostream.shared.user_path import user_path

CONFIG: Final = CONFIGS / "analyze.toml"
CHUNK: Final = "60s"
OVERLAP: Final = "3s"
UNITS: Final = {"ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9, "": 1e9}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="video or photo files, folders, patterns, or URLs of them such as s3://bucket/*.mp4",
    )
    parser.add_argument(
        "--manifest",
        action="append",
        default=[],
        metavar="FILE",
        help="a text file with one input per line; may be repeated",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="a folder, or a URL such as s3://bucket/folder"
    )
    parser.add_argument("--recursive", action="store_true", help="also search subfolders")
    parser.add_argument(
        "--chunk",
        type=duration,
        default=CHUNK,
        metavar="TIME",
        help=f"split videos at key frames into chunks of about this length (default: {CHUNK})",
    )
    parser.add_argument(
        "--overlap",
        type=duration,
        default=OVERLAP,
        metavar="TIME",
        help=f"start each chunk this much earlier, to pick up its tracks (default: {OVERLAP})",
    )
    parser.add_argument(
        "--sample",
        metavar="N/s",
        help="analyze N pictures per second of the recording instead of all",
    )
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        help="a Ray cluster, such as auto or ray://host:10001 (default: one on this machine)",
    )
    parser.add_argument(
        "--workers",
        type=positive(int),
        metavar="N",
        help="number of worker processes, each with one CPU (default: all CPUs of the cluster)",
    )
    add_prior_options(parser)
    add_config_options(parser, shown="analyze")
    parser.add_argument("--json", action="store_true", help="print JSON lines for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Analyze the inputs, continuing an earlier run with the same options.

    Returns INCOMPLETE if a recording ends early, FAILURE if a file cannot be read at all.
    """
    require("emostream batch", "ray", "ray", "fsspec", "pyarrow")
    if not (options.inputs or options.manifest):
        raise ConfigError("name an INPUT: a video, a photo, a folder, a pattern, or a --manifest")
    config = _at_any_place(with_prior(load(options.config or CONFIG, options.set), options))
    check_detector(config)
    cutting = Cutting(
        options.chunk, options.overlap, sample_rate(options.sample) if options.sample else 0.0
    )
    out = options.out if is_remote(options.out) else str(user_path(options.out))
    found = find(options.inputs, options.manifest, recursive=options.recursive, out=out)
    store = Store(out)
    view = JsonView() if options.json else BarView()
    if found.skipped:
        line = local_inputs.skipped_line(found.skipped, recursive=options.recursive)
        view.say(line, {"event": "skipped", "skipped": local_inputs.count_kinds(found.skipped)})
    batch = Batch(found, store, Settings(config, cutting, secrets.token_hex(3)), view)
    try:
        if batch.is_needed:
            with cluster(options.address, options.workers) as cpus:
                batch.run(options.workers or cpus)
        return batch.end()
    except KeyboardInterrupt:
        view.close()
        view.say(
            f"interrupted: finished work is kept in {store.url}; run the same command to continue",
            {"event": "interrupted", "out": store.url},
        )
        raise
    finally:
        view.close()


def _at_any_place(config: Config) -> Config:
    """Return the configuration with absolute paths, because Ray's processes use other folders."""
    replace = msgspec.structs.replace
    model, weights = Path(config.classifier.model), config.detector.weights
    classifier, detector = config.classifier, config.detector
    if model.suffix:
        classifier = replace(classifier, model=str(user_path(str(model)).absolute()))
    if weights:
        detector = replace(detector, weights=str(user_path(weights).absolute()))
    return replace(config, classifier=classifier, detector=detector)


def duration(text: str) -> int:
    """Return a time such as `60s`, `500ms` or `2m` in ns; a type for argparse."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)", text.strip())
    ns = float(match[1]) * UNITS[match[2]] if match else -1.0
    if not 0 <= ns < 2**62:
        raise argparse.ArgumentTypeError(f"{text}: write a time, for example 60s, 500ms or 2m")
    return round(ns)
