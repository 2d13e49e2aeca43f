"""The options `--out` and `--compare` of every benchmark, and their effect."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from emostream.services.cli.bench.comparison import read_earlier, report
from emostream.services.cli.bench.result_file import ResultFile
from emostream.shared.errors import ConfigError, ExitCode

Plot: TypeAlias = Callable[[ResultFile, Path], None]
SUFFIX: Final = ".json"


def add_result_options(parser: argparse.ArgumentParser, default: object = None) -> None:
    """Add `--out` and `--compare`, with `default` as the default."""
    parser.add_argument(
        "--out",
        type=result_path,
        default=default,
        metavar="FILE.json",
        help="write the figures to this file, with machine and versions, and a plot next to it",
    )
    parser.add_argument(
        "--compare",
        type=Path,
        default=default,
        metavar="FILE.json",
        help="print regressions compared with this result file; exit code 1 if there are any",
    )


def result_path(text: str) -> Path:
    """Return the path of a result file; a type for argparse."""
    path = Path(text)
    if path.suffix != SUFFIX:
        raise argparse.ArgumentTypeError(f"{text}: give a name that ends in {SUFFIX}")
    return path


def check_result_options(options: argparse.Namespace, what: str) -> None:
    """Raise ConfigError if the files cannot be used, before minutes of measuring."""
    if options.compare:
        read_earlier(options.compare, what)
    if options.out and not options.out.parent.is_dir():
        raise ConfigError(f"--out: no folder {options.out.parent}")


def deliver(options: argparse.Namespace, results: ResultFile, plot: Plot | None = None) -> int:
    """Write and compare the results by the options; return the exit code.

    `plot` plots them, by default each figure with its range.
    """
    # The file to compare with may be the one to write.
    earlier = read_earlier(options.compare, results.what) if options.compare else None
    if options.out:
        from emostream.services.cli.bench.plots import plot_figures

        results.write(options.out)
        (plot or plot_figures)(results, options.out.with_suffix(".png"))
    return report(earlier, results) if earlier else ExitCode.OK
