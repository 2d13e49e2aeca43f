"""The optional groups of packages in pyproject.toml, and the line that names a missing one."""

import contextlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from typing import Final

from emostream.shared.errors import MissingPackageError

# Modules whose package has another name, or is brought along by that package of a group.
_OTHER_NAMES: Final = {"PIL": "pillow", "h5py": "keras", "markupsafe": "jinja2"}


def requirements() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield each requirement of emostream on this system: its package, and the group that has it.

    The group is "" for none. The last is which groups of that package it asks for.
    """
    # Imported here: this is asked for where something is missing, and each stage starts with us.
    from packaging.requirements import Requirement

    groups = importlib.metadata.metadata("emostream").get_all("Provides-Extra") or []
    for line in importlib.metadata.requires("emostream") or ():
        required = Requirement(line)
        for group in ("", *groups):
            if not required.marker or required.marker.evaluate({"extra": group}):
                yield required.name, group, tuple(sorted(required.extras))
                break


def packages_of(group: str) -> set[str]:
    """Return the packages that a group brings, those of the groups that it includes among them."""
    packages: set[str] = set()
    for package, of, extras in requirements():
        if of != group:
            continue
        if package == "emostream":
            packages.update(*map(packages_of, extras))
        else:
            packages.add(canonical_name(package))
    return packages


def package_of(module: str) -> str:
    """Return the package of an optional group that brings a module at the top level."""
    return canonical_name(_OTHER_NAMES.get(module, module))


def canonical_name(package: str) -> str:
    """Return a package's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def install_command(*groups: str) -> str:
    """Return the command that installs these groups, or emostream alone."""
    return f"pip install 'emostream[{','.join(groups)}]'" if groups else "pip install emostream"


def is_installed(module: str) -> bool:
    """Whether a module at the top level can be found; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def require(what: str, group: str, *modules: str) -> None:
    """Raise MissingPackageError if one of the modules, which `group` brings, is missing."""
    for module in modules:
        if not is_installed(module):
            raise missing_package(what, group, module)


def missing_package(what: str, group: str, module: str) -> MissingPackageError:
    """Return the error that says in one line that `what` needs the group, for that module."""
    return MissingPackageError(
        f'{what} needs the optional group "{group}", for {package_of(module)}:'
        f" {install_command(group)}"
    )


@contextlib.contextmanager
def naming_the_group(what: str, group: str) -> Iterator[None]:
    """Raise MissingPackageError if an import fails for a package of an optional group.

    `group` is the one that `what` needs; where that does not bring the package, the first that does
    is named. Any other failing import passes: it is a bug, or a broken installation.
    """
    try:
        yield
    except MissingPackageError:
        raise
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        named = _group_with(module, group)
        if not named or is_installed(module):
            raise
        raise missing_package(what, named, module) from error


def _group_with(module: str, first: str) -> str:
    """Return the group that brings a module, `first` before the others; "" for none."""
    groups = [first, *(group for _, group, _ in requirements() if group not in ("", "dev"))]
    package = package_of(module)
    return next((group for group in groups if package in packages_of(group)), "")
