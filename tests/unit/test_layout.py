"""Imports run one way: services -> models -> shared, and no service imports another."""

import ast
from collections.abc import Callable, Iterator
from functools import cache, partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("services", "shared", "models")
# What recognition in process needs of the detector: its compute, not its stage or process.
DETECTOR_COMPUTE = {
    f"emostream.services.detector.{name}" for name in ("backends", "detection", "tiling")
}


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    """Return the name by which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] not in FOLDERS else ("emostream", *parts))


MODULES = {module_of(path): path for path in files("emostream", *FOLDERS)}


@cache
def imported(path: Path) -> frozenset[str]:
    """Return what a file imports; of `from a import b` both a and, where it is one, module a.b."""
    return frozenset(_imported(ast.walk(ast.parse(path.read_text("utf-8")))))


def _imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "imports are absolute"
            names = {f"{node.module}.{name.name}" for name in node.names}
            known = names & MODULES.keys()
            yield from known
            # A package whose modules alone are meant is not itself an import.
            if node.module not in MODULES or names - known:
                yield node.module


def wrong(paths: list[Path], is_forbidden: Callable[[str], bool]) -> list[str]:
    """Return `file: module` for each import that is forbidden."""
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in sorted(imported(path))
        if is_forbidden(name)
    ]


def below(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_packages_go_by_their_full_names() -> None:
    everything = files("emostream", *FOLDERS, "tests", "benchmarks", "docs")
    assert not wrong(everything, lambda name: below(name, *FOLDERS))


def test_shared_imports_neither_services_nor_models() -> None:
    packages = ("emostream.services", "emostream.models", "tensorflow", "keras")
    assert not wrong(files("shared"), lambda name: below(name, *packages))


def test_models_know_neither_services_nor_configuration_nor_bus() -> None:
    packages = ("emostream.services", "emostream.shared.config", "emostream.shared.bus")
    assert not wrong(files("models"), lambda name: below(name, *packages))


def test_a_service_imports_no_other() -> None:
    many = {"cli", "recognition"}
    for folder in (ROOT / "services").iterdir():
        if folder.is_dir() and folder.name not in many:
            others = partial(is_of_another_service, f"emostream.services.{folder.name}")
            assert not wrong(files(f"services/{folder.name}"), others)


def is_of_another_service(own: str, name: str) -> bool:
    return below(name, "emostream.services") and not below(name, own)


def test_recognition_uses_the_detectors_compute_alone() -> None:
    def is_forbidden(name: str) -> bool:
        allowed = below(name, "emostream.services.recognition", *DETECTOR_COMPUTE)
        return below(name, "emostream.services") and not allowed

    assert not wrong(files("services/recognition"), is_forbidden)


def test_the_package_for_programs_imports_recognition_and_models_alone() -> None:
    def is_forbidden(name: str) -> bool:
        allowed = ("emostream.services.recognition", "emostream.models")
        return below(name, "emostream") and not below(name, *allowed)

    assert not wrong([ROOT / "emostream" / "__init__.py"], is_forbidden)


@pytest.mark.parametrize(
    ("library", "places"),
    [
        ("zmq", ["shared/bus", "shared/security.py"]),
        ("sqlite3", ["services/recorder/archive"]),
        ("ray", ["models/ray_pool", "services/cli/batch"]),
    ],
)
def test_a_library_has_its_home(library: str, places: list[str]) -> None:
    elsewhere = [
        path
        for path in MODULES.values()
        if not any(path.is_relative_to(ROOT / place) for place in places)
    ]
    assert len(elsewhere) < len(MODULES)
    assert not wrong(elsewhere, lambda name: below(name, library))


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imported(path) & MODULES.keys() - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")
