"""Writes the label shares to the TOML next to a model, and leaves the rest unchanged."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TABLES: Final = ("trained", "natural")
COMMENTS: Final = {
    "trained": "The labels' shares among the faces that its training drew.",
    "natural": "The labels' shares among the same faces, had each been drawn once.",
}
# A table with its comments, up to the next table.
TABLE: Final = re.compile(rf"(?:^#[^\n]*\n)*^\[(?:{'|'.join(TABLES)})\][^\[]*", re.MULTILINE)
BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def write_shares(path: Path, trained: Mapping[str, float], natural: Mapping[str, float]) -> None:
    """Write a table for each to the TOML at `path`, replacing existing ones."""
    text = TABLE.sub("", path.read_text("utf-8")).rstrip("\n") + "\n"
    for name, shares in zip(TABLES, (trained, natural), strict=True):
        lines = "".join(f"{_key(label)} = {share:.5f}\n" for label, share in shares.items())
        text += f"\n# {COMMENTS[name]}\n[{name}]\n{lines}"
    path.write_text(text, "utf-8")


def _key(label: str) -> str:
    return label if BARE.fullmatch(label) else json.dumps(label, ensure_ascii=False)
