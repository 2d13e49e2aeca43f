"""The length that a Windows Media file (ASF) declares, which FFmpeg hides where it was cut off."""

import struct
from pathlib import Path
from typing import Final

# The File Properties Object: its GUID, then its size, the file's id, size and date, how many
# packets it has, how long it plays and takes to send (100 ns), its preroll (ms), and flags.
PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
LAYOUT: Final = struct.Struct("<16s Q 16s Q Q Q Q Q Q I")
BROADCAST: Final = 1  # what was written live has no length
HEADER_BYTES: Final = 65_536


def asf_length(path: Path) -> float:
    """Return the s that the whole file plays by its header, 0 if it does not say."""
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    at = header.find(PROPERTIES)
    if at < 0 or len(header) < at + LAYOUT.size:
        return 0.0
    *_, plays, _, preroll, flags = LAYOUT.unpack_from(header, at)
    return 0.0 if flags & BROADCAST else max(0.0, plays / 1e7 - preroll / 1e3)
