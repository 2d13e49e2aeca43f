"""Imports run one way: services -> models -> shared, and no service imports another."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path for top in ("services", "shared", "models") for path in (ROOT / top).rglob("*.py")
)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def forbidden(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(ROOT).parts
    zmq = () if parts == ("shared", "bus.py") else ("zmq",)
    match parts[0]:
        case "shared":
            return ("services", "models", "tensorflow", "keras", *zmq)
        case "models":
            return ("services", "shared.config", "shared.bus", *zmq)
        # What programs import from `services` is made in services/cli.
        case _ if parts[1] in ("cli", "__init__.py"):
            return zmq
        case _:
            others = (ROOT / "services").iterdir()
            return (*(f"services.{o.name}" for o in others if o.name != parts[1]), *zmq)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    wrong = [
        name
        for name in imports(path)
        for prefix in forbidden(path)
        if name == prefix or name.startswith(prefix + ".")
    ]
    assert not wrong
