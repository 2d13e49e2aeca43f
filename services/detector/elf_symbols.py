"""Reads named arrays from a shared library's file, without loading the library.

The format is ELF (https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html), 64-bit and
little-endian.
"""

import struct
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAGIC: Final = b"\x7fELF\x02\x01"
DYNAMIC_SYMBOLS: Final = 11  # type of the section that lists what a library exports
SECTION: Final = struct.Struct("<IIQQQQIIQQ")
SYMBOL: Final = struct.Struct("<IBBHQQ")


def exported_floats(library: bytes) -> Mapping[str, NDArray[np.float32]]:
    """Return a library's exports by name, as float32 (n,); ValueError if it is not a library."""
    if not library.startswith(MAGIC):
        raise ValueError("it is not a 64-bit ELF library")
    try:
        return _read(library)
    except (struct.error, IndexError) as error:
        raise ValueError("it is truncated") from error


def _read(library: bytes) -> dict[str, NDArray[np.float32]]:
    (start,) = struct.unpack_from("<Q", library, 0x28)
    size, count = struct.unpack_from("<HH", library, 0x3A)
    sections = [SECTION.unpack_from(library, start + place * size) for place in range(count)]
    arrays = {}
    for _, kind, _, _, offset, length, names, *_ in sections:
        if kind != DYNAMIC_SYMBOLS:
            continue
        for place in range(offset, offset + length, SYMBOL.size):
            name, _, _, section, address, octets = SYMBOL.unpack_from(library, place)
            if 0 < section < count and octets and octets % 4 == 0:
                begin = sections[section][4] + address - sections[section][3]
                values = np.frombuffer(library[begin : begin + octets], "<f4")
                arrays[_text(library, sections[names][4] + name)] = values.astype(np.float32)
    return arrays


def _text(library: bytes, start: int) -> str:
    return library[start : library.index(b"\0", start)].decode("ascii", "replace")
