"""`emostream models`: fetches weights that are not in the repository."""

import argparse
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

from services.detector.weights import YUNET_SHA256, YUNET_URL, fetch_yunet

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    text = "fetches weights that are not in the repository"
    parser = commands.add_parser("models", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    fetch = actions.add_parser("fetch", help="download weights, checked by their sha256")
    fetch.add_argument("name", choices=("yunet",))
    fetch.add_argument(
        "--url", default=YUNET_URL, help="fetch from a mirror (default: %(default)s)"
    )
    fetch.add_argument("--sha256", default=YUNET_SHA256, help="what the file must be")
    fetch.set_defaults(run=run_fetch)


def run_fetch(options: argparse.Namespace) -> int:
    """Download the weights and say where they are."""
    columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(options.name, total=None)

        def advance(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        path = fetch_yunet(url=options.url, sha256=options.sha256, progress=advance)
    print(path)
    return 0
