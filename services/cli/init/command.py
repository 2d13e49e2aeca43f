"""`emostream init [DIR]`: writes a Procfile and a configuration, so that `honcho start` works."""

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from emostream.services.cli.init import two_hosts
from emostream.services.cli.init.config_text import config_text
from emostream.services.cli.init.questions import Choices, ask_all, ask_on_terminal, list_cameras
from emostream.services.cli.processes import procfile
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError
from emostream.shared.shipped_files import FOLDER_CONFIG

PROGRAMS: Final = Path(sys.executable).parent


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="where (default: here)"
    )
    parser.add_argument(
        "--defaults", action="store_true", help="ask no questions, even on a terminal"
    )
    for host, runs in (("camera", "all but the classifier"), ("classifier", "the classifier")):
        parser.add_argument(
            f"--{host}-host",
            type=IPv4Address,
            metavar="ADDRESS",
            help=f"for two hosts: address of the one that runs {runs}; writes a folder for each,"
            " with keys",
        )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask on a terminal, write both files, and print how to start."""
    folder: Path = options.folder
    hosts = two_hosts.two_hosts(options.camera_host, options.classifier_host)
    places = (two_hosts.CAMERAS, two_hosts.CLASSIFIER) if hosts else ("",)
    for place in places:
        _check_absent(folder / place, (two_hosts.KEYS,) if hosts else ())
    choices = Choices()
    if sys.stdin.isatty() and sys.stdout.isatty() and not options.defaults:
        try:
            choices = ask_all(ask_on_terminal, list_cameras())
        except EOFError as error:
            raise ConfigError("a question was not answered; nothing was written") from error
    _write(folder, _files(choices, hosts))
    if hosts:
        two_hosts.write_keys(folder, hosts)
        print(two_hosts.next_steps(folder, hosts, _program("honcho")))
    else:
        _say_how_to_start(folder)
    if choices.page:
        print(f"the page will be on http://{Config().display.page}")
    return 0


def _say_how_to_start(folder: Path) -> None:
    enter = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    print(f"wrote {folder / procfile.FILE} and {folder / FOLDER_CONFIG}")
    print(f"start it: {enter}{_program('honcho')} start")


def _files(choices: Choices, hosts: two_hosts.TwoHosts | None = None) -> dict[str, str]:
    """Return the content of each file by path in the folder."""
    left_out = {"display": not choices.page, "recorder": not choices.record}
    stages = [stage for stage in STAGES if not left_out.get(stage)]
    changes = {"recorder.video": True} if choices.video else {}
    if hosts:
        return two_hosts.files(hosts, choices, stages, changes, _program("emostream"))
    return {
        FOLDER_CONFIG: config_text(choices.source, changes),
        procfile.FILE: procfile.procfile(FOLDER_CONFIG, stages, _program("emostream")),
    }


def _program(name: str) -> str:
    """Return the shell command for a program of this environment: its name or its path."""
    ours = PROGRAMS / name
    found = shutil.which(name)
    is_found = found is not None and ours.exists() and Path(found).samefile(ours)
    return name if is_found or not ours.exists() else shlex.quote(str(ours))


def _check_absent(folder: Path, further: Sequence[str] = ()) -> None:
    """Raise ConfigError if one of the files exists, or the folder is something else."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder: nothing was written; choose another")
    for name in (procfile.FILE, FOLDER_CONFIG, *further):
        if os.path.lexists(folder / name):
            raise ConfigError(
                f"{folder / name} exists: nothing was written; remove it, or choose another folder"
            )


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        try:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(content)
        except OSError as error:
            raise ConfigError(f"{folder / name} cannot be written: {error.strerror}") from error
