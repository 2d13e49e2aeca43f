"""`emostream healthy STAGE`: checks a stage's health, and exits with 0 if it is healthy."""

import argparse
import http.client
import json
from typing import Any, Final
from urllib.parse import urljoin

from emostream.services.cli.given_config import given_config
from emostream.services.cli.options import add_config_options, count
from emostream.services.cli.processes.stages import ALL_STAGES
from emostream.shared.addresses import shifted_port
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError, EmostreamError, ExitCode
from emostream.shared.http_urls import metrics_url
from emostream.shared.metrics_client import MetricsClient

MAX_BODY_BYTES: Final = 64 * 1024
PURPOSE: Final = """
Asks a stage on this host at its metrics port, with the token and certificate of the configuration.
Prints one line, and exits with 0 if the stage is healthy, and with 1 if it is not or does not
answer. For container health checks and scripts.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = PURPOSE
    parser.add_argument("stage", choices=ALL_STAGES, metavar="STAGE", help=", ".join(ALL_STAGES))
    parser.add_argument(
        "--ready",
        action="store_true",
        help="check that data flows (/readyz), not only that its loop runs (/livez)",
    )
    parser.add_argument(
        "--instance", type=count, default=0, metavar="N", help="the stage's own --instance"
    )
    add_config_options(parser, example="classifier.metrics=127.0.0.1:9203")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the stage's health; EmostreamError if it is not healthy."""
    config = given_config(options).load()
    stage: str = options.stage
    url = metrics_url(config, _address(config, stage, options.instance))
    answer = _answer(urljoin(url, "/readyz" if options.ready else "/livez"), stage, config)
    if options.ready:
        if not answer["ready"]:
            # Without the token, it does not list what is missing.
            reasons = "; ".join(answer.get("missing", {}).values()) or "it does not say why"
            raise EmostreamError(f"{stage} is not ready: {reasons}")
        print(f"{stage} is ready")
    else:
        if not answer["live"]:
            raise EmostreamError(f"{stage} is not live: its loop is stuck, or it is down")
        print(f"{stage} is live ({answer['phase']})")
    return ExitCode.OK


def _address(config: Config, stage: str, instance: int) -> str:
    """Return the stage's metrics address; ConfigError if the system chooses its port."""
    host, _, port = str(getattr(config, stage).metrics).rpartition(":")
    if port == "0":
        raise ConfigError(
            f"{stage}.metrics has port 0, so the system chooses one at each start; set a port"
        )
    return f"{host}:{shifted_port(int(port), instance)}"


def _answer(url: str, stage: str, config: Config) -> dict[str, Any]:
    """Return the stage's answer. Raises EmostreamError if there is none."""
    try:
        with MetricsClient(config).open(url, any_status=True) as answer:
            said = json.loads(answer.read(MAX_BODY_BYTES))
    except (OSError, http.client.HTTPException) as error:
        # urllib wraps the cause, whose message is shorter.
        cause = getattr(error, "reason", error)
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        raise EmostreamError(f"{stage} does not answer at {url}: {reason}") from error
    except ValueError as error:
        raise EmostreamError(f"{url} is not {stage}: its answer is not JSON") from error
    if not isinstance(said, dict) or not {"ready", "live"} & said.keys():
        raise EmostreamError(f"{url} is not {stage}: its answer does not contain its health")
    return said
