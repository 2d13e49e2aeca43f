"""Two hundred faces, the same on every machine, and the probabilities that the models gave.

`python -m tests.golden_faces` writes the probabilities again, for weights that have changed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emostream.models import load
from emostream.shared.pixels import Image
from tests.average_faces import load_average_faces

COUNT: Final = 200
MODELS: Final = ("alexnet-fer", "alexnet-fer-int8")
# Percent of an average face's own against the mean of all, percent of contrast, and gray levels
# of light and of its slope from side to side.
SPANS: Final = ((200, 500), (60, 140), (-40, 41), (-50, 51))
FILE: Final = Path(__file__).with_name("golden_probabilities.npz")


def golden_faces() -> Image:
    """Return average faces, exaggerated, in varied light, uint8 (200, 48, 48).

    Whole numbers alone are computed with, so that no library's rounding changes a pixel.
    """
    random = np.random.default_rng(12)
    averages = load_average_faces().astype(np.int64)
    mean = averages.sum(axis=0) // len(averages)
    columns = np.arange(48) - 24
    faces = np.empty((COUNT, 48, 48), np.int64)
    for number in range(COUNT):
        own, contrast, light, slope = (int(random.integers(*span)) for span in SPANS)
        face = mean + (averages[number % len(averages)] - mean) * own // 100
        face = (face - 128) * contrast // 100 + 128 + light + columns * slope // 24
        face = np.roll(face, random.integers(-3, 4, 2), (0, 1)) + random.integers(-8, 9, face.shape)
        faces[number] = face[:, ::-1] if number // len(averages) % 2 else face
    return np.clip(faces, 0, 255).astype(np.uint8)


def read_golden() -> Mapping[str, NDArray[Any]]:
    """Return what is in the file: float32 (200, 8) by model, the sha256 of each, and the faces'."""
    with np.load(FILE) as saved:
        return dict(saved)


def main() -> None:
    """Write the file on this machine."""
    faces = golden_faces()
    content: dict[str, Any] = {"checksum": int(faces.astype(np.int64).sum())}
    for name in MODELS:
        model = load(name, engine="litert", prior_strength=0)
        content |= {name: model.predict(faces), f"{name}-sha256": model.sha256}
    np.savez_compressed(FILE, **content)


if __name__ == "__main__":
    main()
