"""`emostream supervise STAGE`: starts a stage, and starts it again when it ends or hangs."""

import argparse
import subprocess

from emostream.services.cli.log_options import log_words
from emostream.services.cli.processes.child_process import stage_command
from emostream.services.cli.processes.stages import STAGES
from emostream.services.cli.processes.supervisor import Supervised, Supervisor
from emostream.services.cli.stage_options import add_stage_options, stage_config
from emostream.shared.addresses import shifted_port


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="those of the stage")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `emostream STAGE ARGUMENTS` and return the exit code for it."""
    stage = options.stage
    command = stage_command(stage, *options.arguments, *log_words(options))
    parser = argparse.ArgumentParser(prog=f"emostream {stage}")
    add_stage_options(parser)
    chosen = parser.parse_args(options.arguments)
    if chosen.check_config:
        return subprocess.call(command)  # it ends by itself, as it was asked to
    config = stage_config(chosen)
    host, _, port = getattr(config, stage).metrics.rpartition(":")
    supervised = Supervised(
        stage=stage,
        command=command,
        host=host,
        port=shifted_port(int(port), chosen.instance),
        hung_after=config.live.hung_after,
        allowed_hosts=config.allowed_hosts,
    )
    return Supervisor(supervised).run()
