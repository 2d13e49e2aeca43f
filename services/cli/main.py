"""The `emostream` command."""

import argparse
import errno
import functools
import importlib
import sys
from collections.abc import Sequence
from typing import Final

import emostream
from emostream.services.cli.commands import COMMANDS
from emostream.services.cli.given_config import config_file
from emostream.services.cli.log_options import add_log_options, take_log_options
from emostream.services.cli.processes.shared_report import report_once
from emostream.services.cli.processes.stages import ALL_STAGES, STAGES
from emostream.services.cli.stage_options import add_stage_options, stage_config
from emostream.shared.config.secrets import warn_of_readable_secrets
from emostream.shared.errors import ConfigError, EmostreamError, ExitCode
from emostream.shared.logs import log_end, log_to_stderr
from emostream.shared.optional_groups import naming_the_group

# Disk errors, which are not bugs, wherever they occur.
UNWRITABLE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    log_options, words = take_log_options(sys.argv[1:] if arguments is None else arguments)
    stage = _stage(words)
    log_to_stderr(log_options.log_level, log_options.log_format, stage)
    try:
        with naming_the_group(f"emostream {' '.join(words[:1])}", _group(words)):
            options = _parser(words[:1]).parse_args(words)
            vars(options).update(vars(log_options))
            code: int = options.run(options)
    except ConfigError as error:
        # Stages that share an invalid configuration find the same errors.
        report = functools.partial(log_end, error)
        report_once(report) if stage else report()
        return error.exit_code
    except EmostreamError as error:
        log_end(error)
        return error.exit_code
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        place = f" {error.filename}" if error.filename else ""
        log_end(EmostreamError(f"cannot write{place}: {error.strerror}; free some space there"))
        return ExitCode.FAILURE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return code


def _stage(words: Sequence[str]) -> str:
    """Return the stage that the arguments start, directly or supervised; "" for other commands."""
    name = next((word for word in words if word != "supervise"), "")
    return name if name in ALL_STAGES else ""


def _group(words: Sequence[str]) -> str:
    """Return the optional group of the command in `words`, "" for none."""
    name = words[0] if words else ""
    return COMMANDS[name].group if name in COMMANDS else name if name in STAGES else ""


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser; only the command in `words` has its options."""
    parser = argparse.ArgumentParser(
        prog="emostream", description="Real-time facial emotion recognition as a pipeline."
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for stage, purpose in ALL_STAGES.items():
        stage_parser = commands.add_parser(stage, help=purpose, description=purpose)
        add_stage_options(stage_parser, stage)
        add_log_options(stage_parser)
        stage_parser.set_defaults(run=_run_stage, stage=stage)
    for name, command in COMMANDS.items():
        options = commands.add_parser(name, help=command.purpose, description=command.purpose)
        if name in words:
            module = importlib.import_module(f"emostream.services.cli.{command.package}.command")
            module.add_options(options)
            add_log_options(options)
    return parser


class _Version(argparse.Action):
    """Prints the version, which is looked up only when needed."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"emostream {emostream.__version__}")
        parser.exit()


def _run_stage(options: argparse.Namespace) -> int:
    config = stage_config(options)
    file = config_file(options.config)
    if options.stage == "capture":
        warn_of_readable_secrets(config, file)
    if options.check_config:
        # Imported here, like the stage, because a supervisor needs neither.
        from emostream.services.cli.processes.stage_checks import check_stage

        check_stage(options.stage, config, options.instance)
        print(f"{file or 'defaults'}: good")
        return ExitCode.OK
    # Imported here, so that one stage does not load another's libraries.
    module = importlib.import_module(f"emostream.services.{options.stage}.process")
    module.run(config, options.instance)
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
