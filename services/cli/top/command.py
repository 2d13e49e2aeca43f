"""`emostream top`: a view of all stages, refreshed every second."""

import argparse
import contextlib
import re
import time
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.live import Live

from emostream.services.cli.given_config import given_config
from emostream.services.cli.options import add_config_options
from emostream.services.cli.processes.stages import ALL_STAGES
from emostream.services.cli.top.faces import FacesNow
from emostream.services.cli.top.view import unready, view
from emostream.shared.addresses import LOOPBACK, TCP, is_local, is_loopback
from emostream.shared.bus import RESULTS_HWM, Bus, Subscription
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError, ExitCode
from emostream.shared.http_urls import metrics_url
from emostream.shared.metrics_client import MetricsClient
from emostream.shared.scraping import Scraper, missing

INTERVAL = 1.0
# Wide enough for every column if there is no terminal.
PLAIN_WIDTH = 150
_ADDRESS = re.compile(r"[^/\s]+:\d+")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_config_options(parser, example="classifier.metrics=127.0.0.1:9203")
    parser.add_argument(
        "--metrics",
        action="append",
        default=[],
        metavar="URL",
        help="another process: http://host:port/metrics or host:port; may be repeated",
    )
    parser.add_argument("--once", action="store_true", help="print one table and exit")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show the table until interrupted, or once as plain text without a terminal.

    Returns FAILURE if no process answered at the end.
    """
    config = given_config(options).load()
    named = named_urls(config, options.metrics)
    tunnels = tunnel_hints(config)
    scraper, faces = Scraper(list(named), MetricsClient(config)), FacesNow()
    try:
        with watched(config, faces):
            if options.once or not Console().is_terminal:
                _print_once(named, scraper, faces, tunnels)
            else:
                _show(named, scraper, faces, tunnels)
    except KeyboardInterrupt:
        return ExitCode.OK
    return ExitCode.OK if scraper.answering() else ExitCode.FAILURE


def named_urls(config: Config, others: list[str]) -> dict[str, str]:
    """Return the metrics URL of each stage, of `display.watch` and of `others`, with a name.

    Raises ConfigError for an entry that is neither an http URL nor an address.
    """
    named = {metrics_url(config, getattr(config, stage).metrics): stage for stage in ALL_STAGES}
    for other in (*config.display.watch, *others):
        if _ADDRESS.fullmatch(other):
            named.setdefault(metrics_url(config, other), other)
        elif other.startswith(("http://", "https://")):
            named.setdefault(other, other.partition("//")[2].partition("/")[0])
        else:
            raise ConfigError(f"--metrics {other}: write http://host:port/metrics or host:port")
    return named


def tunnel_hints(config: Config) -> dict[str, str]:
    """Return, by URL, how to reach metrics on the loopback of a host that may be another one.

    These belong to stages that publish beyond loopback.
    """
    hints = {}
    for stage in ALL_STAGES:
        settings = getattr(config, stage)
        bound = TCP.fullmatch(settings.bind)
        host, _, port = settings.metrics.rpartition(":")
        if not bound or bound["host"] in LOOPBACK or is_local(settings.bind):
            continue
        if is_loopback(host):
            hints[metrics_url(config, settings.metrics)] = (
                f"if it runs on {bound['host']}, its metrics are only on the loopback there: "
                f"ssh -N -L {port}:127.0.0.1:{port} {bound['host']} forwards them here"
            )
    return hints


@contextlib.contextmanager
def watched(config: Config, faces: FacesNow) -> Iterator[None]:
    """Pass the classifiers' messages to `faces`, while the context lasts."""
    results = Subscription(config.connect.emotion, ["emotion/"], RESULTS_HWM)
    with (
        Bus("top", security=config.security) as bus,
        # The stages count messages that violate the wire format.
        contextlib.closing(bus.receiver([results], faces.add, lambda error: None)),
    ):
        yield


def _print_once(
    named: dict[str, str], scraper: Scraper, faces: FacesNow, tunnels: dict[str, str]
) -> None:
    scraper.scrape()
    time.sleep(INTERVAL)
    scraper.scrape()
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    console.print(view(named, scraper, _missing(scraper, tunnels), faces.lines()))


def _show(
    named: dict[str, str], scraper: Scraper, faces: FacesNow, tunnels: dict[str, str]
) -> None:
    def next_view() -> RenderableType:
        scraper.scrape()
        return view(named, scraper, _missing(scraper, tunnels), faces.lines())

    with Live(next_view(), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(INTERVAL)
            live.update(next_view(), refresh=True)


def _missing(scraper: Scraper, tunnels: dict[str, str]) -> dict[str, str]:
    silent = {url: hint for url, hint in tunnels.items() if url in scraper.failures}
    return silent | {url: missing(url, scraper.client) for url in unready(scraper)}
