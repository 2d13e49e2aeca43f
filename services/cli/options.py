"""The options that several commands take, and their types."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from emostream.shared.shipped_files import FOLDER_CONFIG, config_names, find_config


def add_config_options(
    parser: argparse.ArgumentParser,
    default: Path | str | None = None,
    *,
    shown: str = f"{FOLDER_CONFIG} in this folder, else none",
    example: str = "detector.backend=haar",
) -> None:
    """Add `--config` and `--set`.

    `shown` is the default in the help text. With argparse.SUPPRESS as the default, neither has one.
    """
    changes = argparse.SUPPRESS if default == argparse.SUPPRESS else []
    parser.add_argument(
        "--config",
        type=find_config,
        default=default,
        metavar="FILE",
        help=f"TOML file, or the name of a shipped one: {', '.join(config_names())}"
        f" (default: {shown})",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=changes,
        metavar="KEY=VALUE",
        help=f"change one key of the configuration, e.g. {example}; may be repeated",
    )


def add_prior_options(parser: argparse.ArgumentParser, *, more: str = "") -> None:
    """Add `--prior` and `--prior-strength`; `more` adds choices to the help text."""
    parser.add_argument(
        "--prior",
        metavar="PRIOR",
        help="expected frequency of each label: natural, uniform, or shares such as"
        f" neutral=0.5,anger=0.2 (the other labels share the rest){more}; default: the model's",
    )
    parser.add_argument(
        "--prior-strength",
        type=fraction,
        metavar="SHARE",
        help="how strongly to apply it, from 0 (not at all) to 1 (fully, the default with --prior)",
    )


def fraction(text: str) -> float:
    """Return a number from 0 to 1; a type for argparse."""
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def count(text: str) -> int:
    """Return a number of at least 0; a type for argparse."""
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def proportion(text: str) -> float:
    """Return a number from 0 to 1; a type for argparse."""
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    """Return a type for argparse that accepts only finite numbers above 0."""

    def number(text: str) -> float:
        value = kind(text)
        if not 0 < value < math.inf:
            raise ValueError
        return value

    number.__name__ = f"positive {kind.__name__}"
    return number


def not_negative(text: str) -> float:
    """Return a finite number of at least 0; a type for argparse."""
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError
    return number
