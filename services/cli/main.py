"""The `emostream` command."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

import emostream
from emostream.services.cli.options import add_config_options, count
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import load
from emostream.shared.errors import EmostreamError

# What a shell says of a program that Ctrl-C ended.
INTERRUPTED = 130
# The commands beside the stages: the package of each below services.cli, and what it does. The
# package's module `command` is imported when it is called: no command needs another's packages.
COMMANDS = {
    "supervise": ("supervise", "starts a stage, and starts it again when it dies"),
    "analyze": (
        "analysis",
        "turns videos and photos into tables, a report and annotated video; loses no frame",
    ),
    "export": ("export", "makes tables of recorded sessions: CSV and Parquet, a folder a stream"),
    "replay": ("replay", "publishes a recorded session on the bus again, for demos and tests"),
    "subscribe": (
        "subscribe",
        "prints events as they come: a face enters, changes its emotion, leaves",
    ),
    "top": ("top", "shows rates, latency and losses of each stage, each second; Ctrl-C ends it"),
    "doctor": (
        "doctor",
        "checks this machine before the first run, and says what to do about what is missing",
    ),
    "bench": (
        "bench",
        "measures the pipeline on this machine: drops, latency, memory, time to ready",
    ),
    "train": ("training", "trains a classifier; `--resume` goes on where it was cut off"),
    "evaluate": ("evaluation", "judges a model: a table here, a page of HTML and JSON in files"),
    "models": ("model_files", "lists, describes, verifies, exports and fetches models"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(words[:1]).parse_args(words)
    _log_to_stderr(options.log_level)
    try:
        code: int = options.run(options)
    except EmostreamError as error:
        logging.getLogger("emostream").error("%s", error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser; only the command that `words` begin with has its options."""
    parser = argparse.ArgumentParser(
        prog="emostream", description="Real-time facial emotion recognition as a pipeline."
    )
    parser.add_argument("--version", action=_Version)
    parser.set_defaults(log_level="info")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for stage, purpose in STAGES.items():
        stage_parser = commands.add_parser(stage, help=purpose, description=purpose)
        _add_stage_options(stage_parser)
        stage_parser.set_defaults(run=_run_stage, stage=stage)
    for name, (package, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        if name in words:
            module = importlib.import_module(f"emostream.services.cli.{package}.command")
            module.add_options(command)
    return parser


class _Version(argparse.Action):
    """Prints the version; it is looked up only then."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"emostream {emostream.__version__}")
        parser.exit()


def _add_stage_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every stage takes."""
    add_config_options(parser)
    parser.add_argument("--check-config", action="store_true", help="only check the configuration")
    parser.add_argument(
        "--instance", type=count, default=0, metavar="N", help="add 100 x N to each port it binds"
    )
    parser.add_argument("--window", action="store_true", help="open the desktop window (display)")
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info"
    )


def _run_stage(options: argparse.Namespace) -> int:
    settings = [*options.set, *(["display.window=true"] if options.window else [])]
    config = load(options.config, settings)
    if options.check_config:
        print(f"{options.config or 'defaults'}: good")
        return 0
    # Imported here, so that one stage does not pay for another's libraries.
    module = importlib.import_module(f"emostream.services.{options.stage}.process")
    module.run(config, options.instance)
    return 0


def _log_to_stderr(level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain())
    logger = logging.getLogger("emostream")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


class _Plain(logging.Formatter):
    """The message alone, with the level before it where something is wrong."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"{record.levelname.lower()}: {text}" if record.levelno > logging.INFO else text


if __name__ == "__main__":
    sys.exit(main())
