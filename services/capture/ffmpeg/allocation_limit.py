"""Limits the size of FFmpeg's memory allocations, for which PyAV has no function."""

import ctypes
import ctypes.util
import functools
import logging
from pathlib import Path
from typing import Final

import av

# An 8K picture (7680 x 4320) has 133 MB with 4 bytes per pixel. No packet of a camera is larger.
LARGEST_BYTES: Final = 128 * 1024 * 1024
log = logging.getLogger("emostream")


@functools.cache
def limit_allocations() -> None:
    """Limit the size of packets, pictures and headers that FFmpeg reads in this process.

    Without the limit, FFmpeg allocates whatever a stream announces, up to 2 GB. Larger allocations
    then raise `av.MemoryError`. If FFmpeg's library cannot be found, this is logged.
    """
    library = _loaded_avutil()
    if library is None:
        log.warning(
            "the FFmpeg library was not found, so the memory that a stream can request is not "
            "limited"
        )
        return
    library.av_max_alloc.argtypes, library.av_max_alloc.restype = [ctypes.c_size_t], None
    library.av_max_alloc(LARGEST_BYTES)


def _loaded_avutil() -> ctypes.CDLL | None:
    """Return the library that PyAV uses, from its wheel (Linux, macOS) or the system."""
    package = Path(av.__file__).parent
    bundled = [*package.parent.glob("av.libs/libavutil*"), *package.glob(".dylibs/libavutil*")]
    name = str(bundled[0]) if bundled else ctypes.util.find_library("avutil")
    # Loading a library again returns the loaded one.
    return ctypes.CDLL(name) if name else None
