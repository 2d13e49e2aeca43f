"""What docs/configuration.md says of each key, for the comments of a configuration."""

import re
from pathlib import Path
from typing import Final

from emostream.shared.shipped_files import SETTINGS_PAGE

ROW: Final = re.compile(r"^\| `([\w.]+)` \| (.+?) \| (.+) \|$", re.MULTILINE)
LINK: Final = re.compile(r"\[([^]]+)]\([^)]+\)")


def key_meanings(page: Path = SETTINGS_PAGE) -> dict[str, str]:
    """Return the meaning of each key by its path, as plain text; `sources.name` is a source's."""
    return {key: meaning for key, (_, meaning) in _rows(page).items()}


def key_defaults(page: Path = SETTINGS_PAGE) -> dict[str, str]:
    """Return what the page says of each key's default: a value of TOML, or words."""
    return {key: default.strip("`") for key, (default, _) in _rows(page).items()}


def _rows(page: Path) -> dict[str, tuple[str, str]]:
    rows = ROW.findall(page.read_text("utf-8"))
    return {key: (default, LINK.sub(r"\1", meaning)) for key, default, meaning in rows}
