"""The wheel of the tracked files, and environments to install it into without any network."""

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from emostream.shared.shipped_files import ROOT

BUILD: Final = (
    "import sys, setuptools.build_meta as backend; getattr(backend, sys.argv[1])(sys.argv[2])"
)
HONCHO: Final = "#!{python}\nfrom honcho.command import main\nmain()\n"
PIP: Final = '#!/bin/sh\nexec {python} -m pip --python {target} "$@"\n'


def tracked() -> list[str]:
    """Return the paths of the files that git tracks; the test is skipped without git."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def build(what: str, source: Path, out: Path) -> Path:
    """Build a "wheel" or an "sdist" of the source, and return its file."""
    words = [sys.executable, "-c", BUILD, f"build_{what}", str(out)]
    subprocess.run(words, cwd=source, capture_output=True, check=True)
    (file,) = out.glob("*.whl" if what == "wheel" else "*.tar.gz")
    return file


def build_wheel(folder: Path) -> Path:
    """Build the wheel from the sdist, which is built from the tracked files."""
    for name in tracked():
        copy = folder / "checkout" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy)
    with tarfile.open(build("sdist", folder / "checkout", folder)) as sdist:
        sdist.extractall(folder / "sdist", filter="data")
    (source,) = (folder / "sdist").iterdir()
    return build("wheel", source, folder)


def make_environment(folder: Path) -> Path:
    """Make an environment with honcho's program; return the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    programs = folder / "bin"
    write_program(programs / "honcho", HONCHO.format(python=programs / "python"))
    return programs


def add_packages(environment: Path, packages: Iterable[str]) -> None:
    """Let the environment have these packages of ours, as links, and no others.

    pip takes them for installed there.
    """
    (site,) = environment.glob("lib/python*/site-packages")
    for package in packages:
        try:
            found = importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # one of another system
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(str(found.locate_file(top)))


def add_pip(programs: Path) -> None:
    """Let `pip` install into the environment: our own pip, without any index."""
    text = PIP.format(python=sys.executable, target=programs / "python")
    write_program(programs / "pip", text.replace("exec", "PIP_NO_INDEX=1 exec"))


def write_program(path: Path, text: str) -> None:
    """Write a program that the shell runs."""
    path.write_text(text)
    path.chmod(0o755)
