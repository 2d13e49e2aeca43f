"""`python -m docs.schemas.generate`: writes the JSON Schema of each message's header.

The structure comes from the types in shared/messages.py, and the descriptions from the tables in
docs/wire-format.md, so that neither is written twice.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from emostream.shared.messages import KINDS
from emostream.shared.wire import VERSION

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "schemas"
PAGE: Final = ROOT / "docs" / "wire-format.md"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
COMMON: Final = "Every header"
# Bytes in msgpack are base64 here, because JSON has no bytes.
NOTE: Final = "Bytes in the msgpack map are written as base64. Unlisted keys may occur."
_ROW = re.compile(r"^\| `(\w+)` \| .+ \| (.+) \|$", re.MULTILINE)


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of the headers on the topic `name`, a key of KINDS."""
    made = msgspec.json.schema(KINDS[name])
    parts: dict[str, Any] = made["$defs"]
    header = parts.pop(made["$ref"].rpartition("/")[2])
    for part, described in parts.items():
        _describe(described, meanings(f"`{part}` in `{name}/`"))
    _describe(header, meanings(COMMON) | meanings(f"`{name}/`"))
    version = {"const": VERSION, "description": meanings(COMMON)["v"]}
    return {
        "$schema": DIALECT,
        "$id": f"{name}.json",
        "title": f"The header of {name}/",
        "description": f"{header['description']} {NOTE}",
        "type": "object",
        "properties": {"v": version, **header["properties"]},
        "required": ["v", *header["required"]],
        **({"$defs": parts} if parts else {}),
    }


def meanings(title: str) -> dict[str, str]:
    """Return the last column of each key in the table below a heading of the page."""
    _, _, text = PAGE.read_text("utf-8").partition(f"\n## {title}\n")
    return dict(_ROW.findall(text.partition("\n## ")[0]))


def text(name: str) -> str:
    """Return the schema in the format of its file."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def _describe(described: dict[str, Any], told: dict[str, str]) -> None:
    """Add the page's description of each property, and join docstrings to one line."""
    described["description"] = " ".join(described["description"].split())
    for key, value in described["properties"].items():
        value["description"] = told[key]


def main() -> None:
    """Write all schemas."""
    FOLDER.mkdir(exist_ok=True)
    for name in KINDS:
        path = FOLDER / f"{name}.json"
        path.write_text(text(name), "utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
