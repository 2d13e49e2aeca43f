"""A configuration file with every key; keys with their default are commented out."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from emostream.services.cli.init.settings_page import key_defaults, key_meanings
from emostream.services.cli.toml_text import toml_value
from emostream.shared.config import Config, Section, Source

WIDTH: Final = 100
HEADER: Final = """\
# Written by `emostream init`. Every key is listed with its default, commented out: to change one,
# remove the "#" and edit the value. `emostream config --explain` shows the values in effect and
# where each one comes from.
"""


def config_text(source: Source, changes: Mapping[str, Any]) -> str:
    """Return a TOML file with one source; `changes` are the keys to set, by path."""
    meanings = key_meanings()
    lines = [HEADER, *_pairs(Config(), "", meanings, changes)]
    for name, section in _sections(Config()).items():
        lines += ["", f"# {(section.__doc__ or '').strip()}", f"[{name}]"]
        lines += _pairs(section, f"{name}.", meanings, changes)
        if name == "capture":
            chosen = {"sources.name": source.name, "sources.url": source.url}
            lines += ["", "# One table per source.", "[[capture.sources]]"]
            lines += _pairs(Source(), "sources.", meanings, chosen)
    return "\n".join(lines) + "\n"


def _sections(config: Config) -> dict[str, Section]:
    values = msgspec.structs.asdict(config)
    return {name: value for name, value in values.items() if isinstance(value, Section)}


def _pairs(
    section: Section, prefix: str, meanings: Mapping[str, str], changes: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the meaning of each key, and the key, commented out if it has its default."""
    for name, default in msgspec.structs.asdict(section).items():
        key = f"{prefix}{name}"
        if key not in meanings:
            continue  # a section, or the sources, which have their own table
        meaning = meanings[key]
        if default is None:  # TOML cannot express this value
            meaning = f"{name} (default: {key_defaults()[key]}): {meaning}"
        yield from textwrap.wrap(meaning, WIDTH, initial_indent="# ", subsequent_indent="# ")
        if key in changes:
            yield f"{name} = {toml_value(changes[key])}"
        elif default is not None:
            yield f"#{name} = {toml_value(default)}"
