"""Creates the training faces as the pipeline crops them, for `emostream train --aligned FILE`.

    python -m benchmarks.aligned_crops --out runs/aligned-0.npz --seed 0

Each face of the Training split is drawn into a part of a scene, detected and aligned; if it is not
found, the bare face is kept. A network that is trained only on bare faces never sees the second
resampling or the detector's inexact landmarks in training.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models.alignment import align
from emostream.models.evaluation.domain_gap import MAX_DISTANCE, center_distances
from emostream.models.evaluation.scenes import background, paste
from emostream.models.ferplus import FOLDER, SIDE, load_faces
from emostream.services.detector.backends import CHOICES, Choice, create
from emostream.services.detector.detection import FaceDetector, as_boxes
from emostream.shared.pixels import Image
from emostream.shared.progress import ProgressBar

WINDOW = 720  # pixels: a tile of a 1280 x 720 frame
SMALLEST, LARGEST = 80, 300
BACKGROUNDS = 32


def backgrounds(random: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """Yield noisy backgrounds, float32 (720, 720, 3), endlessly: many parts of a few rooms."""
    drawn = [background(random) for _ in range(BACKGROUNDS)]
    noise = random.normal(0, 1, (WINDOW, 2 * WINDOW, 1)).astype(np.float32)
    while True:
        canvas = drawn[random.integers(BACKGROUNDS)]
        left = int(random.integers(canvas.shape[1] - WINDOW + 1))
        other = int(random.integers(WINDOW + 1))
        strength = np.float32(random.uniform(1, 5))
        yield canvas[:, left : left + WINDOW] + strength * noise[:, other : other + WINDOW]


def align_face(
    face: Image, canvas: NDArray[np.float32], detector: FaceDetector, random: np.random.Generator
) -> Image:
    """Return the detected and aligned face, uint8 (48, 48), or the original."""
    side = float(np.exp(random.uniform(np.log(SMALLEST), np.log(LARGEST))))
    x, y = random.uniform(0, WINDOW - side, 2)
    square = np.array([x, y, side, side])
    paste(canvas, face, square, random)
    frame = np.clip(canvas, 0, 255).astype(np.uint8)
    detections = detector.detect(frame)
    off = center_distances(as_boxes(detections), square[None])[:, 0]
    for found, far in zip(detections, off, strict=True):
        if far < MAX_DISTANCE:
            crop = align(frame, [found])[0]
            return np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    return face


def main() -> None:
    """Write the crops by the command line."""
    parser = argparse.ArgumentParser(description="Crop the training faces like the pipeline.")
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--out", type=Path, default=Path("runs/aligned-0.npz"))
    parser.add_argument("--backend", choices=CHOICES, default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faces", type=int, help="only the first N faces")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    random = np.random.default_rng(arguments.seed)
    backend: Choice = arguments.backend
    detector = create(backend)
    faces = load_faces("Training", arguments.data).images[: arguments.faces]
    crops = faces.copy()
    with ProgressBar("cutting out", len(faces), "faces") as bar:
        for index, (face, canvas) in enumerate(zip(faces, backgrounds(random), strict=False)):
            crops[index] = align_face(face, canvas, detector, random)
            bar.update(index + 1)
    found = float((crops != faces).any(axis=(1, 2)).mean())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(arguments.out, images=crops)
    print(f"{arguments.out}: {len(crops)} faces, {found:.1%} of them found and aligned")


if __name__ == "__main__":
    main()
