"""The defaults of the configuration, as tests compare them with pages and files."""

from collections.abc import Iterator
from typing import Any

import msgspec

from emostream.shared.config import Section, Source


def defaults(section: Section, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the default of each key, those of sources under `sources.`."""
    for name, value in msgspec.structs.asdict(section).items():
        if isinstance(value, Section):
            yield from defaults(value, f"{prefix}{name}.")
        elif name == "sources":
            yield from defaults(Source(), "sources.")
        else:
            yield f"{prefix}{name}", value
