"""`--out` and `--compare` of the programs in this folder."""

import argparse
import sys
from collections.abc import Mapping, Sequence

from emostream.services.cli.bench.result_file import Figure, ResultFile
from emostream.services.cli.bench.result_options import (
    add_result_options,
    check_result_options,
    deliver,
)
from emostream.shared.errors import ConfigError, EmostreamError, ExitCode


def parse(
    parser: argparse.ArgumentParser, what: str, words: Sequence[str] | None = None
) -> argparse.Namespace:
    """Return the parser's options with `--out` and `--compare`, whose files are checked first."""
    add_result_options(parser)
    options = parser.parse_args(words)
    try:
        check_result_options(options, what)
    except ConfigError as error:
        parser.error(str(error))
    return options


def finish(
    options: argparse.Namespace, what: str, figures: Mapping[str, Figure], *, good: bool = True
) -> int:
    """Write and compare the figures as requested; return the exit code, FAILURE if not `good`."""
    try:
        code = deliver(options, ResultFile.of(what, figures, command=what))
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return code if good else ExitCode.FAILURE
