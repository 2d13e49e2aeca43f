"""Reads the declared length of a Windows Media file (ASF), which FFmpeg hides if truncated."""

import struct
from pathlib import Path
from typing import Final

# The File Properties Object: GUID, size, the file's id, size and date, number of packets, play and
# send duration (100 ns), preroll (ms), and flags.
PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
LAYOUT: Final = struct.Struct("<16s Q 16s Q Q Q Q Q Q I")
BROADCAST: Final = 1  # a live recording has no length
HEADER_BYTES: Final = 65_536


def asf_length(path: Path) -> float:
    """Return the length of the complete file in s from its header, 0 if unknown."""
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    at = header.find(PROPERTIES)
    if at < 0 or len(header) < at + LAYOUT.size:
        return 0.0
    *_, plays, _, preroll, flags = LAYOUT.unpack_from(header, at)
    return 0.0 if flags & BROADCAST else max(0.0, plays / 1e7 - preroll / 1e3)
