"""The configuration in effect as TOML, with the origin of each value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from emostream.services.cli.init.settings_page import key_defaults
from emostream.services.cli.toml_text import toml_value
from emostream.shared.config import Config, Section
from emostream.shared.source_urls import VARIABLE, has_literal_password, redact
from emostream.shared.toml_positions import KeyPath

DEFAULT: Final = "default"
# The column of the origins; a longer pair has its origin right after it.
COLUMN: Final = 48


@dataclass(frozen=True)
class Origins:
    """The origins of values.

    `tree` has everything that was written, `lines` the line of each key in `file`, `settings` the
    origin of each key changed by a setting, last one last; `environment` are the variables that are
    set.
    """

    tree: Mapping[str, Any]
    file: Path | None
    lines: Mapping[KeyPath, int]
    settings: dict[KeyPath, str]
    environment: Mapping[str, str]

    def of(self, path: KeyPath) -> str:
        """Return the origin of a key's value."""
        if not _is_written(self.tree, path):
            return DEFAULT
        for key, where in reversed(self.settings.items()):
            if path[: len(key)] == key:
                return where
        line = self.lines.get(path)
        return f"{self.file}:{line}" if line else str(self.file)

    def of_variables(self, value: object) -> str:
        """Return the environment variables in a value, and whether they are set."""
        names = [match["name"] for match in VARIABLE.finditer(value)] if type(value) is str else []
        return "".join(
            f", {name} from the environment" if name in self.environment else f", {name} is not set"
            for name in names
            if name
        )


def explanation(config: Config, origins: Origins | None) -> str:
    """Return the configuration as TOML; with `origins`, each key with its origin.

    Passwords in URLs are hidden.
    """
    return "\n".join(_table(config, (), "", origins)) + "\n"


def _table(section: Section, path: KeyPath, title: str, origins: Origins | None) -> Iterator[str]:
    """Yield the lines of a section: its keys, then its subsections and sources."""
    values = msgspec.structs.asdict(section)
    tables = {name: value for name, value in values.items() if isinstance(value, Section)}
    sources = values.get("sources", ())
    for name, value in values.items():
        if name not in tables and name != "sources":
            yield _line(name, value, (*path, name), origins)
    for name, table in tables.items():
        yield from ("", f"[{name}]")
        yield from _table(table, (*path, name), name, origins)
    for number, source in enumerate(sources):
        yield from ("", f"[[{title}.sources]]")
        yield from _table(source, (*path, "sources", number), "sources", origins)


def _line(name: str, value: object, path: KeyPath, origins: Origins | None) -> str:
    if value is None:
        pair = f"# {name}: {key_defaults()['.'.join(map(str, path))]}"
    else:
        shown = redact(value) if isinstance(value, str) and has_literal_password(value) else value
        pair = f"{name} = {toml_value(shown)}"
    if origins is None:
        return pair
    return f"{pair:<{COLUMN}}  # {origins.of(path)}{origins.of_variables(value)}"


def _is_written(tree: Any, path: KeyPath) -> bool:
    for part in path:
        try:
            tree = tree[part]
        except (KeyError, IndexError):
            return False
    return True
