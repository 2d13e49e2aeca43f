"""`emostream models export`: writes a Keras model for another engine and says how it agrees."""

import argparse
import sys
from pathlib import Path

from emostream.models import data, engines, weights
from emostream.models.export import export
from emostream.models.faces import Bytes
from emostream.models.sketches import sketches
from emostream.shared.errors import SourceError

FACES = 500


def run(options: argparse.Namespace) -> int:
    """Export, and print the file, its size and its agreement with the Keras model."""
    engines.require("keras")
    engines.require(options.engine)
    source = weights.find(options.name, "keras")
    done = export(
        source, options.engine, faces(options.data), options.precision, options.out, tell=_log
    )
    print(
        f"{done.path}: {done.path.stat().st_size / 1e6:.1f} MB, largest difference of a probability"
        f" {done.difference:.2g}, same label for {done.same:.1%} of {FACES} faces"
    )
    return 0


def faces(folder: Path) -> Bytes:
    """Return 500 faces of FER2013's PublicTest, drawn ones where the folder lacks it."""
    try:
        return data.read("PublicTest", folder).images[:FACES]
    except SourceError:
        _log(f"no faces in {folder} (--data says where they are): comparing on drawn ones")
        return sketches(FACES)


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
