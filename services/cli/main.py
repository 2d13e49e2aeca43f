"""The `emostream` command."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from services.cli import supervise
from services.cli.stages import STAGES
from shared.config import load
from shared.errors import EmostreamError

# What a shell says of a program that Ctrl-C ended.
INTERRUPTED = 130
# The other commands, each a module of services.cli.
COMMANDS = (
    *("analyze", "export", "replay", "subscribe", "top", "doctor", "bench"),
    *("train", "evaluate", "models"),
)


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


def _parser(command: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser; a stage and a command that is named do not load what others need."""
    parser = argparse.ArgumentParser(
        prog="emostream", description="Real-time facial emotion recognition as a pipeline."
    )
    parser.set_defaults(log_level="info")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for stage, purpose in STAGES.items():
        stage_parser = commands.add_parser(stage, help=purpose, description=purpose)
        add_stage_options(stage_parser)
        stage_parser.set_defaults(run=_run_stage, stage=stage)
    supervise.add_parser(commands)
    if not {*STAGES, "supervise"} & {*command}:
        named = [name for name in COMMANDS if name in command]
        for name in named or COMMANDS:
            importlib.import_module(f"services.cli.{name}").add_parser(commands)
    return parser


def add_stage_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every stage takes."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file (default: none)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one key of the configuration, e.g. detector.backend=haar",
    )
    parser.add_argument("--check-config", action="store_true", help="only check the configuration")
    parser.add_argument(
        "--instance", type=_count, default=0, metavar="N", help="add 100 x N to each port it binds"
    )
    parser.add_argument("--window", action="store_true", help="open the desktop window (display)")
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info"
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def _run_stage(options: argparse.Namespace) -> int:
    settings = [*options.set, *(["display.window=true"] if options.window else [])]
    config = load(options.config, settings)
    if options.check_config:
        print(f"{options.config or 'defaults'}: good")
        return 0
    # Imported here, so that one stage does not pay for another's libraries.
    module = importlib.import_module(f"services.{options.stage}.process")
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
