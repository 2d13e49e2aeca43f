"""The command line of the programs that make one file from trained networks."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from emostream.shared.errors import EmostreamError, ExitCode


def net_parser(module: str, description: str, suffix: str) -> argparse.ArgumentParser:
    """Return a parser for `nets`, one or more .keras files, and `out`, a file with this suffix."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)

    def out(text: str) -> Path:
        if Path(text).suffix != suffix:
            raise argparse.ArgumentTypeError(f"{text}: give a name that ends in {suffix}")
        return Path(text)

    parser.add_argument("nets", type=Path, nargs="+", metavar="FILE", help="a .keras file")
    parser.add_argument(
        "--out", type=out, required=True, metavar="FILE", help=f"the {suffix} file to write"
    )
    return parser


def write_or_explain(out: Path, write: Callable[[], None]) -> int:
    """Call `write`, which writes `out`; on failure, print the reason. Return the exit code."""
    try:
        write()
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {out} cannot be written: {error}", file=sys.stderr)
        return ExitCode.FAILURE
    return ExitCode.OK
