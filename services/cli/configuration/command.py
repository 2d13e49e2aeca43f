"""`emostream config`: prints the configuration that the stages get."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emostream.services.cli.configuration.explanation import Origins, explanation
from emostream.services.cli.options import add_config_options
from emostream.shared.config import load
from emostream.shared.config.loading import read
from emostream.shared.shipped_files import FOLDER_CONFIG, find_config
from emostream.shared.toml_positions import KeyPath, key_lines

# What the Procfile hands on to each stage.
CONFIG_VARIABLE: Final = "EMOSTREAM_CONFIG"
ARGS_VARIABLE: Final = "EMOSTREAM_ARGS"
PURPOSE: Final = f"""
Prints the configuration that `honcho start` gives the stages in this folder: without --config, the
file that ${CONFIG_VARIABLE} names, else {FOLDER_CONFIG} where there is one, else the defaults;
changed by ${ARGS_VARIABLE}, and then by each --set.
"""


@dataclass(frozen=True)
class Given:
    """The file of a configuration, and the settings that change it, each with who made it."""

    file: Path | None
    settings: Sequence[tuple[str, str]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = PURPOSE
    add_config_options(parser, shown="see above")
    parser.add_argument(
        "--explain", action="store_true", help="say where each value comes from, as a comment"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the configuration; ConfigError where it cannot be used."""
    given = _given(options, os.environ)
    settings = [setting for _, setting in given.settings]
    config = load(given.file, settings)
    print(explanation(config, _origins(given) if options.explain else None), end="")
    return 0


def _given(options: argparse.Namespace, environment: Mapping[str, str]) -> Given:
    """Return the file and the settings, the environment's before those of the command line."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_config_options(parser)
    parser.add_argument("--window", action="store_true")
    # As a shell splits a variable: quotes have no meaning in it.
    handed_on, _ = parser.parse_known_args(environment.get(ARGS_VARIABLE, "").split())
    named = environment.get(CONFIG_VARIABLE)
    usual = Path(FOLDER_CONFIG) if Path(FOLDER_CONFIG).is_file() else None
    file = options.config or handed_on.config or (find_config(named) if named else usual)
    window = ["display.window=true"] if handed_on.window else []
    return Given(
        file,
        [
            *((f"${ARGS_VARIABLE}", setting) for setting in [*handed_on.set, *window]),
            *(("--set", setting) for setting in options.set),
        ],
    )


def _origins(given: Given) -> Origins:
    written = read(given.file, [setting for _, setting in given.settings])
    keys = [tuple(setting.partition("=")[0].strip().split(".")) for _, setting in given.settings]
    settings: dict[KeyPath, str] = {}
    for key, (where, _) in zip(keys, given.settings, strict=True):
        settings.pop(key, None)  # the last one counts, and is the last here
        settings[key] = where
    return Origins(written.tree, given.file, key_lines(written.text), settings, os.environ)
