"""Reads the description of each key in docs/configuration.md, for comments in a file."""

import re
from pathlib import Path
from typing import Final

from emostream.shared.shipped_files import SETTINGS_PAGE

ROW: Final = re.compile(r"^\| `([\w.]+)` \| (.+?) \| (.+) \|$", re.MULTILINE)
LINK: Final = re.compile(r"\[([^]]+)]\([^)]+\)")


def key_meanings(page: Path = SETTINGS_PAGE) -> dict[str, str]:
    """Return the meaning of each key by path, as plain text; `sources.name` is a source's name."""
    return {key: meaning for key, (_, meaning) in _rows(page).items()}


def key_defaults(page: Path = SETTINGS_PAGE) -> dict[str, str]:
    """Return each key's default from the page: a TOML value, or words."""
    return {key: default.strip("`") for key, (default, _) in _rows(page).items()}


def _rows(page: Path) -> dict[str, tuple[str, str]]:
    rows = ROW.findall(page.read_text("utf-8"))
    return {key: (default, LINK.sub(r"\1", meaning)) for key, default, meaning in rows}
