"""The options of every stage, and the configuration from them."""

import argparse
import re

from emostream.services.cli.given_config import config_file
from emostream.services.cli.options import add_config_options, count
from emostream.shared.config import Config, load


def add_stage_options(parser: argparse.ArgumentParser, stage: str) -> None:
    """Add the options of a stage."""
    add_config_options(parser)
    parser.add_argument(
        "--check-config", action="store_true", help="check the configuration and exit"
    )
    parser.add_argument(
        "--instance",
        type=count,
        default=0,
        metavar="N",
        help="add 100 x N to each port that it binds",
    )
    parser.add_argument("--window", action="store_true", help="open the desktop window (display)")
    if stage == "classifier":
        parser.add_argument(
            "--shard",
            type=shard,
            metavar="I/N",
            help="be classifier I of N that share the faces; I starts at 0",
        )
        parser.add_argument(
            "--standby",
            action="store_true",
            help="answer only while the active classifier (classifier.active) is silent",
        )


def stage_config(options: argparse.Namespace) -> Config:
    """Return the configuration of the stage. Raises ConfigError if it is invalid.

    The Procfile passes on settings from the environment.
    """
    settings = [*options.set, *(["display.window=true"] if options.window else [])]
    if getattr(options, "shard", None):
        number, of = options.shard
        settings += [f"classifier.shard={number}", f"classifier.of={of}"]
    if getattr(options, "standby", False):
        settings.append("classifier.standby=true")
    return load(config_file(options.config), settings)


def shard(text: str) -> tuple[int, int]:
    """Return (I, N) from `I/N`; a type for argparse."""
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    if not match or int(match[1]) >= int(match[2]):
        raise argparse.ArgumentTypeError(
            f"{text}: write I/N with I below N, 0/2 for the first of two"
        )
    return int(match[1]), int(match[2])
