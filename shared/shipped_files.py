"""Files that ship with emostream, at the same path in a checkout and in a wheel."""

from pathlib import Path
from typing import Final

from emostream.shared.errors import ConfigError
from emostream.shared.user_path import is_folder, path_exists, user_path

ROOT: Final = Path(__file__).parents[1]
CONFIGS: Final = ROOT / "configs"
SETTINGS_PAGE: Final = ROOT / "docs" / "configuration.md"
# The configuration that `emostream init` writes into a folder.
FOLDER_CONFIG: Final = "emostream.toml"


def config_names() -> list[str]:
    """Return the sorted names of the shipped configurations."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml"))


def find_config(path_or_name: str) -> Path:
    """Return the path of a configuration: a file, or a shipped one by its name.

    An existing file has priority. Raises ConfigError if there is neither (the error lists the
    shipped names), and for a folder, unless it only shares the name of a shipped configuration and
    contains none itself.
    """
    path = user_path(path_or_name)
    ships = path_or_name in config_names()
    names = ", ".join(config_names())
    if path_or_name and is_folder(path):
        inside, shipped = path / FOLDER_CONFIG, CONFIGS / f"{path_or_name}.toml"
        if path_exists(inside):
            other = f", or {shipped} for the shipped one" if ships else ""
            raise ConfigError(f"--config {path_or_name}: a folder; write {inside}{other}")
        if not ships:
            advice = f"name a file in it, or a shipped one: {names}"
            raise ConfigError(f"--config {path_or_name}: a folder; {advice}")
    elif path_or_name and path_exists(path):
        return path
    if ships:
        return CONFIGS / f"{path_or_name}.toml"
    raise ConfigError(f"--config {path_or_name}: no such file or shipped configuration ({names})")
