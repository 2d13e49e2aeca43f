"""The optional groups of packages in pyproject.toml, and the line that names a missing one."""

import contextlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from typing import Final

from emostream.shared.errors import MissingPackageError

# Modules whose package has another name, or that are installed with another package of a group.
_OTHER_NAMES: Final = {"PIL": "pillow", "h5py": "keras", "markupsafe": "jinja2"}


def requirements() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield emostream's requirements on this system: the package, its group, and its extras.

    The group is "" for a requirement outside the groups.
    """
    # Imported here, because it is needed only for errors, and every stage imports this module.
    from packaging.requirements import Requirement

    groups = importlib.metadata.metadata("emostream").get_all("Provides-Extra") or []
    for line in importlib.metadata.requires("emostream") or ():
        required = Requirement(line)
        for group in ("", *groups):
            if not required.marker or required.marker.evaluate({"extra": group}):
                yield required.name, group, tuple(sorted(required.extras))
                break


def packages_of(group: str) -> set[str]:
    """Return the packages of a group, including those of the groups that it includes."""
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
    """Return the package of an optional group that provides a top-level module."""
    return canonical_name(_OTHER_NAMES.get(module, module))


def canonical_name(package: str) -> str:
    """Return a package's normalized name, as in package indexes."""
    return re.sub(r"[-_.]+", "-", package).lower()


def install_command(*groups: str) -> str:
    """Return the command that installs these groups, or just emostream."""
    return f"pip install 'emostream[{','.join(groups)}]'" if groups else "pip install emostream"


def is_installed(module: str) -> bool:
    """Whether a top-level module is installed, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def require(what: str, group: str, *modules: str) -> None:
    """Raise MissingPackageError if one of the modules from `group` is missing."""
    for module in modules:
        if not is_installed(module):
            raise missing_package(what, group, module)


def missing_package(what: str, group: str, module: str) -> MissingPackageError:
    """Return the one-line error that `what` needs the group because of that module."""
    return MissingPackageError(
        f'{what} needs the optional group "{group}", for {package_of(module)}:'
        f" {install_command(group)}"
    )


@contextlib.contextmanager
def naming_the_group(what: str, group: str) -> Iterator[None]:
    """Raise MissingPackageError if an import fails for lack of an optional group.

    `group` is the one that `what` needs; if it does not include the package, the error names the
    first group that does. Other import errors pass through: they are bugs or broken installations.
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
    """Return the group that includes a module, preferably `first`; "" for none."""
    groups = [first, *(group for _, group, _ in requirements() if group not in ("", "dev"))]
    package = package_of(module)
    return next((group for group in groups if package in packages_of(group)), "")
