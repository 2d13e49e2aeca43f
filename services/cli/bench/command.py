"""`emostream bench`: measures the whole pipeline on the demo, from a subscriber's view.

`emostream bench load` measures how many streams it can handle and how it behaves in overload,
`emostream bench analyze` the analysis of recordings, `emostream bench classifier` the available
engines and devices. Each is imported when called, so that a host that only classifies does not need
the packages of other stages.
"""

import argparse
import functools
import importlib
import os
import subprocess
import sys
from argparse import SUPPRESS
from collections.abc import Callable
from typing import Final

from emostream.services.cli.bench.result_options import add_result_options
from emostream.services.cli.options import add_config_options, not_negative, positive
from emostream.shared.errors import ConfigError, ExitCode
from emostream.shared.shipped_files import CONFIGS, ROOT

LIVE: Final = {
    "config": CONFIGS / "default.toml",
    "set": [],
    "seconds": 60.0,
    "runs": 5,
    "warm_up": 5.0,
    "video": False,
    "json": False,
    "out": None,
    "compare": None,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.argument_default = SUPPRESS
    _add_live_options(parser)
    parser.set_defaults(**LIVE, run=_run_live)
    kinds = parser.add_subparsers(metavar="live|load|analyze|classifier")
    # Without its own defaults, so that options both before and after the word count.
    live = kinds.add_parser("live", help=parser.description, argument_default=SUPPRESS)
    _add_live_options(live)
    text = "compares the speed of `emostream analyze` with the original program's loop"
    # The subcommands parse their own options: without option prefixes, all arguments are
    # positional.
    analyze = kinds.add_parser("analyze", help=text, add_help=False, prefix_chars="\0")
    text = "measures each available engine on each device, in memory and over the wire"
    classifier = kinds.add_parser("classifier", help=text, add_help=False, prefix_chars="\0")
    text = "measures how many streams the pipeline can handle, and how it behaves in overload"
    load = kinds.add_parser("load", help=text, add_help=False, prefix_chars="\0")
    for kind, run in (
        (analyze, _run_analyze),
        (classifier, functools.partial(_run_module, "classifier")),
        (load, functools.partial(_run_module, "load.command")),
    ):
        kind.add_argument("words", nargs="*")
        kind.set_defaults(run=functools.partial(_run_other, parser, run, kind.prog.split()[-1]))


def _add_live_options(parser: argparse.ArgumentParser) -> None:
    add_config_options(parser, SUPPRESS, shown="default")
    length = f"length of a run (default: {LIVE['seconds']:g})"
    parser.add_argument("--seconds", type=positive(float), help=length)
    parser.add_argument("--runs", type=positive(int), help=f"default: {LIVE['runs']}")
    wait = f"seconds before measuring (default: {LIVE['warm_up']:g})"
    parser.add_argument("--warm-up", type=not_negative, help=wait)
    text = "also record video, as with recorder.video = true"
    parser.add_argument("--video", action="store_true", help=text)
    parser.add_argument("--json", action="store_true", help="print all runs as JSON")
    add_result_options(parser, SUPPRESS)


def _run_live(options: argparse.Namespace) -> int:
    code: int = importlib.import_module("emostream.services.cli.bench.live").run(options)
    return code


def _run_other(
    parser: argparse.ArgumentParser,
    run: Callable[[list[str]], int],
    kind: str,
    options: argparse.Namespace,
) -> int:
    """Run a benchmark other than `live`; refuse options of `live`, which would have no effect."""
    for name, value in LIVE.items():
        if getattr(options, name) != value:
            parser.error(f"--{name.replace('_', '-')} before `{kind}`: put its options after it")
    return run(options.words)


def _run_module(name: str, words: list[str]) -> int:
    module = importlib.import_module(f"emostream.services.cli.bench.{name}")
    code: int = module.run(module.parser().parse_args(words))
    return code


def _run_analyze(words: list[str]) -> int:
    """Measure `analyze`; ConfigError without the checkout, which contains the benchmarks."""
    if not (ROOT / "benchmarks" / "analyze").is_dir():
        raise ConfigError(
            "emostream bench analyze needs the checkout, because it compares with other programs: "
            "clone the repository, run `make install`, and run the benchmark there"
        )
    command = [sys.executable, "-m", "benchmarks.analyze", *words]
    code = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode
    # A negative code is the signal that ended it.
    return code if code >= 0 else ExitCode.FAILURE
