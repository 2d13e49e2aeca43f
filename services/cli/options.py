"""The options that several commands take, and their types."""

import argparse
import contextlib
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


def _number(
    kind: type[int] | type[float], accepts: Callable[[float], bool], what: str
) -> Callable[[str], float]:
    """Return a type for argparse; an error says that the text is not `what`."""

    def number(text: str) -> float:
        with contextlib.suppress(ValueError):
            value = kind(text)
            if accepts(value):
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")

    return number


def positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    """Return a type for argparse that takes only finite numbers above 0."""
    what = "a whole number" if kind is int else "a number"
    return _number(kind, lambda value: 0 < value < math.inf, f"{what} above 0")


fraction = _number(float, lambda value: 0 <= value <= 1, "a number from 0 to 1")
not_negative = _number(float, lambda value: 0 <= value < math.inf, "a number of at least 0")
count = _number(int, lambda value: value >= 0, "a whole number of at least 0")
