"""`emostream supervise STAGE`: starts a stage, and restarts it when it exits or hangs."""

import argparse
import functools
import subprocess
from typing import TYPE_CHECKING

from emostream.services.cli.log_options import log_words
from emostream.services.cli.processes.child_process import stage_command
from emostream.services.cli.processes.stages import ALL_STAGES
from emostream.services.cli.processes.supervisor import Supervised, Supervisor
from emostream.services.cli.stage_options import add_stage_options, stage_config
from emostream.shared.addresses import shifted_port
from emostream.shared.config import Config
from emostream.shared.http_urls import is_https

if TYPE_CHECKING:
    from emostream.shared.http_access import HttpAccess


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("stage", choices=ALL_STAGES)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="options of the stage")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `emostream STAGE ARGUMENTS` and return its exit code."""
    stage = options.stage
    command = stage_command(stage, *options.arguments, *log_words(options))
    parser = argparse.ArgumentParser(prog=f"emostream {stage}")
    add_stage_options(parser, stage)
    chosen = parser.parse_args(options.arguments)
    if chosen.check_config:
        return subprocess.call(command)  # it exits by itself, as requested
    config = stage_config(chosen)
    host, _, port = getattr(config, stage).metrics.rpartition(":")
    supervised = Supervised(
        stage=stage,
        command=command,
        host=host,
        port=shifted_port(int(port), chosen.instance),
        hung_after=config.live.hung_after,
        find_access=functools.partial(_metrics_access, config, stage),
        is_https=is_https(config, f"{host}:{port}"),
    )
    return Supervisor(supervised).run()


def _metrics_access(config: Config, stage: str) -> "HttpAccess":
    # Imported here: few supervisors ever serve a page, and it takes memory.
    from emostream.shared.http_access import metrics_access

    return metrics_access(config, stage)
