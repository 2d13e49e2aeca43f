"""`emostream supervise STAGE`: starts a stage, and starts it again when it dies."""

import argparse

from emostream.services.cli.log_options import log_words
from emostream.services.cli.processes.child_process import stage_command
from emostream.services.cli.processes.stages import STAGES
from emostream.services.cli.processes.supervisor import Supervisor


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="those of the stage")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `emostream STAGE ARGUMENTS` and return the exit code for it."""
    command = stage_command(options.stage, *options.arguments, *log_words(options))
    return Supervisor(command).run()
