"""Files that come with emostream: at the same place below the root of a checkout and of a wheel."""

from pathlib import Path
from typing import Final

from emostream.shared.errors import ConfigError

ROOT: Final = Path(__file__).parents[1]
CONFIGS: Final = ROOT / "configs"
SETTINGS_PAGE: Final = ROOT / "docs" / "configuration.md"
# The configuration that `emostream init` writes into a folder.
FOLDER_CONFIG: Final = "emostream.toml"


def config_names() -> list[str]:
    """Return the names of the configurations that ship, sorted."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml"))


def find_config(path_or_name: str) -> Path:
    """Return the path of a configuration: a file, or one that ships, by its name.

    A file of that path goes first. ConfigError, which lists the names, where there is neither.
    """
    path = Path(path_or_name)
    if path.exists() and not path.is_dir():
        return path
    if path_or_name in config_names():
        return CONFIGS / f"{path_or_name}.toml"
    names = ", ".join(config_names())
    raise ConfigError(f"--config {path_or_name}: no such file, nor one that ships: {names}")
