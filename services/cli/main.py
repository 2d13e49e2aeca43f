"""The `emostream` command."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

import emostream
from emostream.services.cli.commands import COMMANDS
from emostream.services.cli.options import add_config_options, count
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import load
from emostream.shared.errors import EmostreamError, ExitCode
from emostream.shared.optional_groups import naming_the_group


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    _log_to_stderr("info")
    try:
        with naming_the_group(f"emostream {' '.join(words[:1])}", _group(words)):
            options = _parser(words[:1]).parse_args(words)
            _log_to_stderr(options.log_level)
            code: int = options.run(options)
    except EmostreamError as error:
        logging.getLogger("emostream").error("%s", error)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return code


def _group(words: Sequence[str]) -> str:
    """Return the optional group that the command which `words` begin with needs, "" for none."""
    name = words[0] if words else ""
    return COMMANDS[name].group if name in COMMANDS else name if name in STAGES else ""


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
    for name, command in COMMANDS.items():
        options = commands.add_parser(name, help=command.purpose, description=command.purpose)
        if name in words:
            module = importlib.import_module(f"emostream.services.cli.{command.package}.command")
            module.add_options(options)
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
        return ExitCode.OK
    # Imported here, so that one stage does not pay for another's libraries.
    module = importlib.import_module(f"emostream.services.{options.stage}.process")
    module.run(config, options.instance)
    return ExitCode.OK


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
