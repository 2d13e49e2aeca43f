"""`emostream config`: prints the configuration that the stages get."""

import argparse
import os
from typing import Final

from emostream.services.cli.configuration.explanation import Origins, explanation
from emostream.services.cli.given_config import (
    ARGS_VARIABLE,
    CONFIG_VARIABLE,
    GivenConfig,
    given_config,
)
from emostream.services.cli.options import add_config_options
from emostream.shared.config.loading import read
from emostream.shared.shipped_files import FOLDER_CONFIG
from emostream.shared.toml_positions import KeyPath, key_lines

PURPOSE: Final = f"""
Prints the configuration that `honcho start` gives the stages in this folder: without --config, the
file that ${CONFIG_VARIABLE} names, else {FOLDER_CONFIG} where there is one, else the defaults;
changed by ${ARGS_VARIABLE}, and then by each --set.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = PURPOSE
    add_config_options(parser)
    parser.add_argument(
        "--explain", action="store_true", help="add a comment with the origin of each value"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the configuration; ConfigError if it cannot be used."""
    given = given_config(options)
    config = given.load()
    print(explanation(config, _origins(given) if options.explain else None), end="")
    return 0


def _origins(given: GivenConfig) -> Origins:
    written = read(given.file, [setting for _, setting in given.settings])
    keys = [tuple(setting.partition("=")[0].strip().split(".")) for _, setting in given.settings]
    settings: dict[KeyPath, str] = {}
    for key, (where, _) in zip(keys, given.settings, strict=True):
        settings.pop(key, None)  # the last one counts, and is the last here
        settings[key] = where
    return Origins(written.tree, given.file, key_lines(written.text), settings, os.environ)
