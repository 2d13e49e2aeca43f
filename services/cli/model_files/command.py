"""`emostream models`: lists, describes, verifies, exports and fetches models."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from emostream.models import engines, load, weights
from emostream.models.ferplus import FOLDER
from emostream.services.cli.model_files import view as models_view
from emostream.services.detector.weights import YUNET_SHA256, YUNET_URL, fetch_yunet
from emostream.shared.errors import ExitCode, MissingPackageError
from emostream.shared.progress import ProgressBar

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    Actions = _SubParsersAction[argparse.ArgumentParser]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="list the installed models")
    listed.set_defaults(run=run_list)
    info = actions.add_parser("info", help="show what a model takes and returns")
    info.add_argument("name", help="a model's name or the path of its file")
    info.add_argument(
        "--template", action="store_true", help="print a TOML to fill in for the model instead"
    )
    info.set_defaults(run=run_info)
    verify = actions.add_parser("verify", help="compare files with their sha256 and load them")
    verify.add_argument("name", nargs="?", help="a name or a file (default: all models)")
    verify.set_defaults(run=run_verify)
    _add_export(actions)
    _add_fetch(actions)


def _add_export(actions: "Actions") -> None:
    export = actions.add_parser("export", help="write a Keras model for another engine")
    export.add_argument("name", help="a model's name or the path of its .keras or .h5 file")
    export.add_argument("--engine", required=True, choices=("litert", "onnxruntime"))
    export.add_argument(
        "--precision",
        choices=("float16", "int8", "float32"),
        help="precision of the weights (default: float16 for litert, float32 for onnxruntime)",
    )
    export.add_argument("--out", type=Path, help="output file (default: next to the model)")
    export.add_argument(
        "--data", type=Path, default=FOLDER, help="faces to compare on (default: %(default)s)"
    )
    export.set_defaults(run=run_export)


def _add_fetch(actions: "Actions") -> None:
    fetch = actions.add_parser("fetch", help="download weights, checked by their sha256")
    fetch.add_argument("name", choices=("yunet",))
    fetch.add_argument(
        "--url", default=YUNET_URL, help="fetch from a mirror (default: %(default)s)"
    )
    fetch.add_argument("--sha256", default=YUNET_SHA256, help="expected sha256 of the file")
    fetch.set_defaults(run=run_fetch)


def run_list(options: argparse.Namespace) -> int:
    """Print the table of the shipped models."""
    Console(markup=False).print(models_view.table())
    return ExitCode.OK


def run_info(options: argparse.Namespace) -> int:
    """Print the facts about a model, or a TOML for it; raise the error of loading it."""
    if options.template:
        print(models_view.template(options.name), end="")
        return ExitCode.OK
    table, failure = models_view.description(options.name)
    Console(soft_wrap=True, markup=False).print(table)
    if failure is not None:
        raise failure
    return ExitCode.OK


def run_verify(options: argparse.Namespace) -> int:
    """Compare each file with its sha256 and load it; WeightsError for the first bad one."""
    for name in [options.name] if options.name else weights.names():
        for path in weights.files(name).values() or [weights.find(name)]:
            weights.verify(path)
            state = "good" if path.name in weights.checksums(path) else "its sha256 is not known"
            try:
                load(path)
            except MissingPackageError as error:
                state += f"; not loaded: {error}"
            print(f"{path}: {state}")
    return ExitCode.OK


def run_export(options: argparse.Namespace) -> int:
    """Write the model for another engine."""
    # Imported here, so that other actions do not need the packages of the engine keras.
    engines.require_engine("keras")
    from emostream.services.cli.model_files import export

    return export.run(options)


def run_fetch(options: argparse.Namespace) -> int:
    """Download the weights and print their path."""
    with ProgressBar(options.name, unit="bytes") as bar:
        path = fetch_yunet(url=options.url, sha256=options.sha256, progress=bar.update)
    print(path)
    return ExitCode.OK
