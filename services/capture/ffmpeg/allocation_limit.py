"""The bound on what FFmpeg takes of memory at once, for which PyAV has no call."""

import ctypes
import ctypes.util
import functools
import logging
from pathlib import Path
from typing import Final

import av

# A picture of 8K (7680 x 4320) has 133 MB with 4 bytes a pixel. No packet of a camera is larger.
LARGEST_BYTES: Final = 128 * 1024 * 1024
log = logging.getLogger("emostream")


@functools.cache
def limit_allocations() -> None:
    """Let no packet, picture or header of what FFmpeg reads in this process exceed the bound.

    Without it, whatever a stream announces is collected, up to 2 GB. What is larger is an
    `av.MemoryError` from then on. Where FFmpeg's library cannot be found, that is logged.
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
    """Return the library that PyAV uses: of its wheel (Linux, macOS), or of the system."""
    package = Path(av.__file__).parent
    bundled = [*package.parent.glob("av.libs/libavutil*"), *package.glob(".dylibs/libavutil*")]
    name = str(bundled[0]) if bundled else ctypes.util.find_library("avutil")
    # To load what is loaded already gives the same library.
    return ctypes.CDLL(name) if name else None
