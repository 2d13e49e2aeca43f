"""`emostream models export`: writes a Keras model for another engine, and compares them."""

import argparse
import sys
from pathlib import Path

from emostream.models import engines, ferplus, weights
from emostream.models.export import export
from emostream.models.synthetic_faces import synthetic_faces
from emostream.shared.errors import ExitCode, SourceError
from emostream.shared.pixels import Image

FACES = 500


def run(options: argparse.Namespace) -> int:
    """Export, and print the file, its size and its agreement with the Keras model."""
    engines.require_engine(options.engine)
    source = weights.find(options.name, "keras")
    done = export(
        source,
        options.engine,
        faces(options.data),
        options.precision,
        options.out,
        on_step=_print_step,
    )
    print(
        f"{done.path}: {done.path.stat().st_size / 1e6:.1f} MB, largest difference in a probability"
        f" {done.difference:.2g}, same label for {done.same:.1%} of {FACES} faces"
    )
    return ExitCode.OK


def faces(folder: Path) -> Image:
    """Return 500 faces of FER2013's PublicTest, or synthetic ones if the folder lacks it."""
    try:
        return ferplus.load_faces("PublicTest", folder).images[:FACES]
    except SourceError:
        _print_step(f"no faces in {folder} (set --data): comparing on synthetic ones")
        return synthetic_faces(FACES)


def _print_step(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
