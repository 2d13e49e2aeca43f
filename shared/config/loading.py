"""Reads the configuration, and reports errors with their place in the file."""

import itertools
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from emostream.shared.config.checks import check
from emostream.shared.config.invalid_key import InvalidKey, one_line
from emostream.shared.config.schema import Config
from emostream.shared.config.wrong_values import invalid_key
from emostream.shared.errors import ConfigError
from emostream.shared.source_urls import has_literal_password, redact
from emostream.shared.toml_file import TOO_DEEP, parse_toml, read_text
from emostream.shared.toml_positions import KeyPath, key_lines

LONGEST_SHOWN = 120
PASSWORD_ADVICE = (
    "every user of this machine can see a password on a command line; write ${NAME} instead "
    "and set that variable, or name a password_file"
)


@dataclass(frozen=True)
class Written:
    """A configuration as written, before validation.

    `text` is the file's text, `tree` its content with all settings applied, and `changed` maps each
    changed key to its setting, in a form without secrets.
    """

    text: str
    tree: dict[str, Any]
    changed: dict[KeyPath, str]


def load(path: Path | None, settings: Sequence[str] = ()) -> Config:
    """Return the configuration from the file (defaults without one), changed by `settings`.

    Each setting is `key.path=value` with a TOML value; a bare word is a string. Raises ConfigError,
    which names the path of the invalid key and the line in the file.
    """
    try:
        return _loaded(path, settings)
    except ConfigError as error:
        raise ConfigError(one_line(str(error))) from error


def _loaded(path: Path | None, settings: Sequence[str]) -> Config:
    written = read(path, settings)
    text, changed = written.text, written.changed
    try:
        return _checked(written.tree)
    except RecursionError as error:
        raise ConfigError(f"{path or 'configuration'}: {TOO_DEEP}") from error
    except InvalidKey as error:
        where, lines = path or "configuration", key_lines(text)
        if origin := _setting(changed, error, lines):
            raise ConfigError(f"{where}: {error} (--set {origin})") from error
        raise ConfigError(f"{where}: {_line(lines, error)}{error}") from error


def read(path: Path | None, settings: Sequence[str] = ()) -> Written:
    """Return the file and the settings without validation.

    Raises ConfigError if the file is not TOML, or a setting is malformed.
    """
    text = "" if path is None else read_text(path)
    tree = {} if path is None else parse_toml(text, path)
    return Written(text, tree, {_change(tree, setting): _shown(setting) for setting in settings})


def _checked(tree: dict[str, Any]) -> Config:
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise invalid_key(error, tree) from error
    check(config)
    return config


def _setting(changed: dict[KeyPath, str], error: InvalidKey, lines: Container[KeyPath]) -> str:
    """Return the setting that causes the error, if it is not in the file's `lines`."""
    found = (
        setting
        for path in (error.path, *error.others)
        for key, setting in changed.items()
        if path[: len(key)] == key
    )
    # A setting creates the sections above its key, which may be the problem.
    depth = len(error.path) if error.path not in lines else 0
    below = (setting for key, setting in changed.items() if depth and key[:depth] == error.path)
    return next(itertools.chain(found, below), "")


def _line(lines: Mapping[KeyPath, int], error: InvalidKey) -> str:
    """Return `line 7: ` for the key or its section; empty if neither is in the file."""
    exact = (path for path in (error.path, *error.others) if path in lines)
    above = (error.path[:length] for length in range(len(error.path), 0, -1))
    line = next((lines[path] for path in (*exact, *above) if path in lines), None)
    return f"line {line}: " if line else ""


def _change(tree: dict[str, Any], setting: str) -> KeyPath:
    """Change the tree by a setting; return the path of the key."""
    shown = _shown(setting)
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {shown}: write key=value, for example detector.backend=haar")
    *tables, last = key.strip().split(".")
    for name in tables:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {shown}: {name} is not a table")
    tree[last] = _value(text.strip(), shown)
    return (*tables, last)


def _shown(setting: str) -> str:
    """Return the setting on one line, shortened and without secrets."""
    line = " ".join(redact(setting).split())
    return line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}..."


def _value(text: str, shown: str) -> object:
    try:
        value: object = tomllib.loads(f"value = {text}")["value"]
    except RecursionError as error:
        raise ConfigError(f"--set {shown}: {TOO_DEEP}") from error
    except ValueError:
        value = text
    if any(has_literal_password(each) for each in _texts(value)):
        raise ConfigError(f"--set {shown}: {PASSWORD_ADVICE}")
    return value


def _texts(value: object) -> Iterator[str]:
    """Yield every string in a nested value."""
    left = [value]
    while left:
        match left.pop():
            case str() as text:
                yield text
            case list() as items:
                left += items
            case dict() as table:
                left += table.values()
