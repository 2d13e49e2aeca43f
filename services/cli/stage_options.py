"""The options that every stage takes, and the configuration that they give."""

import argparse

from emostream.services.cli.given_config import config_file
from emostream.services.cli.options import add_config_options, count
from emostream.shared.config import Config, load


def add_stage_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a stage."""
    add_config_options(parser)
    parser.add_argument("--check-config", action="store_true", help="only check the configuration")
    parser.add_argument(
        "--instance", type=count, default=0, metavar="N", help="add 100 x N to each port it binds"
    )
    parser.add_argument("--window", action="store_true", help="open the desktop window (display)")


def stage_config(options: argparse.Namespace) -> Config:
    """Return the configuration of the stage. Raises ConfigError where it cannot be used.

    Settings of the environment are the Procfile's to hand on.
    """
    settings = [*options.set, *(["display.window=true"] if options.window else [])]
    return load(config_file(options.config), settings)
