"""Command lines in an environment that lacks optional groups of packages."""

import importlib.metadata
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

from emostream.shared.optional_groups import canonical_name, packages_of
from emostream.shared.shipped_files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
GROUPS = {name: lines for name, lines in PROJECT["optional-dependencies"].items() if name != "dev"}
# Prints [words, exit code, stderr] of each command line, with the modules of argv[1] hidden.
HIDDEN = """
import contextlib, importlib.abc, io, json, sys

hidden = sys.argv[1].split(",")

class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
from emostream.services.cli.main import main

for words in json.loads(sys.argv[2]):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(words)
        except SystemExit as stop:
            code = stop.code or 0
    print(json.dumps([words, code, said.getvalue()]))
"""


def own_packages(group: str) -> set[str]:
    """Return the packages that pyproject.toml lists for a group, without other groups."""
    return {canonical_name(one.name) for one in requirements_of(group)} - {"emostream"}


def requirements_of(group: str) -> list[Requirement]:
    """Return what pyproject.toml lists for a group and needs on this system."""
    required = map(Requirement, GROUPS[group])
    return [one for one in required if not one.marker or one.marker.evaluate()]


def closure(packages: Iterable[str]) -> set[str]:
    """Return the packages with all that they require here, by what is installed."""
    found, left = set[str](), [Requirement(name) for name in packages]
    while left:
        wanted = left.pop()
        name = canonical_name(wanted.name)
        if name in found:
            continue
        found.add(name)
        try:
            lines = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue
        extras = wanted.extras or {""}
        left += [
            required
            for required in map(Requirement, lines)
            if not required.marker or any(required.marker.evaluate({"extra": x}) for x in extras)
        ]
    return found


def hidden_modules(visible: set[str], without: set[str] | None = None) -> set[str]:
    """Return the modules that are not there where only `visible` and what they require is.

    Those of the packages `without` are missing even if another package requires them.
    """
    kept = closure(visible | packages_of("")) - (without or set())
    return {
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if module != "emostream" and not kept & set(map(canonical_name, owners))
    }


def hidden_without(group: str) -> set[str]:
    """Return the modules that are not there without a group; without any for "all"."""
    own = own_packages(group) or EVERYTHING
    return hidden_modules(EVERYTHING - own, own)


def run_hidden(
    modules: set[str], lines: list[list[str]], folder: Path
) -> Iterator[tuple[str, int, str]]:
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN, ",".join(modules), json.dumps(lines)],
        capture_output=True, text=True, cwd=folder, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for row in done.stdout.splitlines():
        words, code, said = json.loads(row)
        yield " ".join(words), code, said


BRINGING = [group for group in GROUPS if own_packages(group)]
EVERYTHING = set.union(*map(own_packages, BRINGING))
