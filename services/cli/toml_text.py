"""Formats values as TOML."""

import json
from typing import Any

import msgspec


def toml_value(value: Any) -> str:
    """Return a string, number, boolean, list, or table of these (or a struct) on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # A basic TOML string equals a JSON string, except for DEL, which TOML requires to be
            # escaped.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int() | float():
            return repr(value)
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case msgspec.Struct():
            return toml_value(msgspec.structs.asdict(value))
        case dict():
            pairs = (f"{key} = {toml_value(item)}" for key, item in value.items())
            return f"{{ {', '.join(pairs)} }}"
    raise TypeError(f"TOML cannot represent {type(value).__name__}")
