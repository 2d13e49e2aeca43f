"""Writes a configuration to a temporary file for the stages."""

from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from emostream.shared.config import Config
from emostream.shared.temporary_folder import naming_temporary_files


def write_config(config: Config, path: Path) -> None:
    """Write the configuration as TOML; TemporaryFolderError if that fails."""
    with naming_temporary_files():
        path.write_text(tomli_w.dumps(as_table(config)), "utf-8")


def as_table(config: Config) -> dict[str, Any]:
    """Return the configuration as a JSON tree, without unset values, which TOML cannot express."""
    return _without_none(msgspec.json.decode(msgspec.json.encode(config)))


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }
