"""Reads TOML files, and recognizes other formats."""

import io
import re
import tomllib
from pathlib import Path
from typing import Any, Final

from emostream.shared.errors import ConfigError
from emostream.shared.whole_file import read_whole

YAML_SUFFIXES: Final = (".yaml", ".yml")
# A line that is valid in YAML but not in TOML: `---`, `%YAML`, `key:`, `key: value`, `- item`.
YAML_LINE: Final = re.compile(r"(---.*|%YAML.*|[\w.\"'-]+:(\s.*)?|-\s.*)")
JSON_START: Final = re.compile(r"\{|\[\s*[\[{]")
YAML_ADVICE: Final = (
    "is YAML, and emostream reads TOML: write [section] for `section:` and key = value for "
    "`key: value`, with text in quotes"
)
JSON_ADVICE: Final = (
    'is JSON, and emostream reads TOML: write [section] for {"section": ...} and key = value'
)
TOO_DEEP: Final = "is nested too deeply"


def read_text(path: Path) -> str:
    """Return the text of a file; ConfigError if it cannot be read, or is not text."""
    try:
        text = read_whole(path).decode("utf-8-sig")
        # Line endings may be those of other systems.
        return io.StringIO(text, newline=None).read()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Return the content of a TOML document; ConfigError, which names `path`, if invalid."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{path}: {TOO_DEEP}") from error
    except ValueError as error:  # TOMLDecodeError, or too many digits
        raise ConfigError(
            f"{path}: {_other_format(text, path) or f'is not valid TOML: {error}'}"
        ) from error


def _other_format(text: str, path: Path) -> str:
    """Return the advice for a file in another known format, or ""."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    if path.suffix.lower() in YAML_SUFFIXES or YAML_LINE.fullmatch(first):
        return YAML_ADVICE
    if path.suffix.lower() == ".json" or JSON_START.match(first):
        return JSON_ADVICE
    return ""
