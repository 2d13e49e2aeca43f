"""`--log-level` and `--log-format`, which every command accepts at any position."""

import argparse
from collections.abc import Sequence
from typing import Final

from emostream.shared.logs import FORMATS, LEVELS

DEFAULT_LEVEL: Final = "info"
DEFAULT_FORMAT: Final = "text"


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """Add both options, also for the help text."""
    group = parser.add_argument_group("log")
    group.add_argument(
        "--log-level",
        choices=LEVELS,
        default=DEFAULT_LEVEL,
        help="lowest level that is written to stderr (default: %(default)s)",
    )
    group.add_argument(
        "--log-format",
        choices=FORMATS,
        default=DEFAULT_FORMAT,
        help="text, or one JSON object per line for programs (default: %(default)s)",
    )


def take_log_options(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options from any position in the arguments, and the arguments without them.

    So they are accepted even after a command's own subcommands and arguments.
    """
    parser = argparse.ArgumentParser(prog="emostream", add_help=False, allow_abbrev=False)
    add_log_options(parser)
    return parser.parse_known_args(words)


def log_words(options: argparse.Namespace) -> list[str]:
    """Return the arguments to pass the same options to another process."""
    words = []
    if options.log_level != DEFAULT_LEVEL:
        words += ["--log-level", options.log_level]
    if options.log_format != DEFAULT_FORMAT:
        words += ["--log-format", options.log_format]
    return words
