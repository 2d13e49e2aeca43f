"""Makes the demo's average faces from the training data.

    python -m emostream.models.average_faces --data ../shared/data/fer

writes `composites.png`: eight gray faces of 48 x 48 pixels in one row, in the order of `LABELS`.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models.ferplus import FOLDER, load_faces
from emostream.models.labels import LABELS
from emostream.shared.errors import EmostreamError
from emostream.shared.pixels import Image

SHEET = Path(__file__).parents[1] / "services" / "capture" / "demo" / "composites.png"

# Share of a face's ten votes that must agree; the rarer emotions have too few faces at 80%.
AGREEMENT = {"disgust": 0.6, "fear": 0.6, "contempt": 0.6}
KEEP_SHARE = 0.12
KEEP_MINIMUM = 20
ROUNDS = 3
CANDIDATES = 4
# Two faces that correlate more than this beyond what the class has in common are one photograph.
# The data holds many copies: without this, 8 of the 41 kept faces of fear were one person.
SAME_PHOTOGRAPH = 0.6
# Contempt is an expression of one side of the face; all others are averaged with their mirror.
ONE_SIDED = "contempt"
BRIGHTNESS, CONTRAST = 120.0, 42.0


def average_face(faces: Image) -> NDArray[np.float32]:
    """Return the mean of the most similar faces: uint8 (N, 48, 48) to float32 (48, 48) of mean 0.

    Each round keeps the faces that correlate best with the mean of the round before, no photograph
    twice. All weigh the same, whatever their contrast, so that no single person shows.
    """
    unit = _unit(faces.reshape(len(faces), -1).astype(np.float32))
    own = _unit(unit - unit.mean(axis=0))
    keep = min(len(faces), max(KEEP_MINIMUM, round(KEEP_SHARE * len(faces))))
    mean = unit.mean(axis=0)
    for _ in range(ROUNDS):
        mean = unit[_best_distinct(unit @ mean, own, keep)].mean(axis=0)
    return np.asarray(mean, np.float32).reshape(faces.shape[1:])


def _best_distinct(
    scores: NDArray[np.float32], own: NDArray[np.float32], keep: int
) -> NDArray[np.intp]:
    order = np.argsort(-scores, kind="stable")[: CANDIDATES * keep]
    same = own[order] @ own[order].T >= SAME_PHOTOGRAPH
    chosen: list[int] = []
    for index in range(len(order)):
        if len(chosen) < keep and not same[index, chosen].any():
            chosen.append(index)
    return order[chosen]


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    centered = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(
        centered / np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), 1e-6), np.float32
    )


def make_sheet(folder: Path) -> Image:
    """Return the eight average faces side by side, uint8 (48, 384)."""
    faces = load_faces("Training", folder)
    share = faces.votes / np.maximum(faces.votes.sum(axis=1, keepdims=True), 1)
    tiles = []
    for column, label in enumerate(LABELS):
        mean = average_face(faces.images[share[:, column] >= AGREEMENT.get(label, 0.8)])
        if label != ONE_SIDED:
            mean = (mean + mean[:, ::-1]) * np.float32(0.5)
        tiles.append(np.clip(np.rint(BRIGHTNESS + CONTRAST * mean / mean.std()), 0, 255))
    return np.hstack(tiles).astype(np.uint8)


def main() -> None:
    """Write the sheet that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make the demo's average faces.")
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--out", type=Path, default=SHEET)
    arguments = parser.parse_args()
    try:
        sheet = make_sheet(arguments.data)
    except EmostreamError as error:
        parser.error(str(error))
    cv2.imwrite(str(arguments.out), sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"wrote {arguments.out} ({arguments.out.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
