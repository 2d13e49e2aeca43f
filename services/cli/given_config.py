"""The configuration of a command: its file, and the settings that change it."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emostream.services.cli.options import add_config_options
from emostream.shared.config import Config, load
from emostream.shared.shipped_files import FOLDER_CONFIG, find_config

# Environment variables that the Procfile passes to each stage.
CONFIG_VARIABLE: Final = "EMOSTREAM_CONFIG"
ARGS_VARIABLE: Final = "EMOSTREAM_ARGS"


@dataclass(frozen=True)
class GivenConfig:
    """The file of a configuration, and the settings that change it, each with its origin."""

    file: Path | None
    settings: Sequence[tuple[str, str]]

    def load(self) -> Config:
        """Return the configuration; ConfigError if it cannot be used."""
        return load(self.file, [setting for _, setting in self.settings])


def given_config(
    options: argparse.Namespace, environment: Mapping[str, str] = os.environ
) -> GivenConfig:
    """Return the configuration that `honcho start` uses in this folder, changed by the options.

    Settings from the environment come before those from the command line.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_config_options(parser)
    parser.add_argument("--window", action="store_true")
    # Split like an unquoted shell variable, in which quotes have no meaning.
    handed_on, _ = parser.parse_known_args(environment.get(ARGS_VARIABLE, "").split())
    window = ["display.window=true"] if handed_on.window else []
    return GivenConfig(
        config_file(options.config or handed_on.config, environment),
        [
            *((f"${ARGS_VARIABLE}", setting) for setting in [*handed_on.set, *window]),
            *(("--set", setting) for setting in options.set),
        ],
    )


def config_file(named: Path | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the configuration file of a live pipeline, None for the defaults.

    It is the one in `--config`, else in $EMOSTREAM_CONFIG, else emostream.toml in this folder.
    Raises ConfigError if the variable does not name a configuration.
    """
    if named:
        return named
    if variable := environment.get(CONFIG_VARIABLE):
        return find_config(variable)
    return Path(FOLDER_CONFIG) if os.path.lexists(FOLDER_CONFIG) else None
