"""Accuracy on aligned crops by the source of the landmarks, and the time of a second pass.

    python -m benchmarks.landmarks --faces 1500

A face is often found twice: in the full frame, where it is small in the detector's input, and in a
tile. This compares crops from the detection with the best score, from the closest detection, from
the mean weighted by score and closeness, and from a second pass around the found face, each with
its gap to bare crops of the same faces.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from emostream.models import load
from emostream.models.alignment import align
from emostream.models.evaluation.domain_gap import MAX_DISTANCE, center_distances
from emostream.models.evaluation.evaluator import predict_all
from emostream.models.evaluation.scenes import draw_scenes
from emostream.models.evaluation.scores import accuracy_loss_interval
from emostream.models.ferplus import FOLDER, load_faces, protocol_b
from emostream.services.detector.backends import create, select
from emostream.services.detector.detection import Detection, FaceDetector, as_boxes
from emostream.services.detector.tiling import Region, region_around, search, tiles
from emostream.shared.pixels import Image
from emostream.shared.progress import ProgressBar

Detected = tuple[Detection, float]  # with the side of the region in which it was found
SAME_SIZE = 1.5  # boxes that differ more contain different parts of a face


def detect_everywhere(detector: FaceDetector, picture: Image, count: int) -> list[Detected]:
    """Return all detections in the frame and in each of its tiles."""
    height, width = picture.shape[:2]
    windows: list[Region] = [(0, 0, width, height), *tiles(width, height, count)]
    return [
        (one, float(max(window[2:])))
        for window in windows
        for one in search(detector, picture, [window])
    ]


def near_square(found: Sequence[Detected], square: Sequence[float]) -> list[Detected]:
    """Return the detections of the face in a square x, y, side, side."""
    off = center_distances(as_boxes([one for one, _ in found]), np.array([square]))[:, 0]
    return [each for each, far in zip(found, off, strict=True) if far < MAX_DISTANCE]


def weighted_mean(seen: Sequence[Detected], best: Detection) -> Detection:
    """Return the mean of the detections of the whole face, weighted by score and closeness."""
    size = best.box[2]
    whole = [(d, w) for d, w in seen if 1 / SAME_SIZE < d.box[2] / size < SAME_SIZE]
    weights = [d.score / w**2 for d, w in whole]
    box = np.average([d.box for d, _ in whole], axis=0, weights=weights).tolist()
    points = np.average([d.landmarks for d, _ in whole], axis=0, weights=weights).tolist()
    return Detection((box[0], box[1], box[2], box[3]), best.score, tuple((a, b) for a, b in points))


def second_pass(detector: FaceDetector, picture: Image, best: Detection) -> Detection:
    """Detect again, in a region of four times the face's side."""
    height, width = picture.shape[:2]
    found = search(detector, picture, [region_around(best.box, width, height)])
    x, y, w, h = best.box
    for one in found:
        a, b, c, d = one.box
        if max(abs(a + c / 2 - x - w / 2), abs(b + d / 2 - y - h / 2)) < max(w, h) / 2:
            return one
    return best


@dataclass
class Crops:
    """The found faces and their crops by source; `seconds` is the time of all second passes."""

    indices: list[int] = field(default_factory=list)
    crops: dict[str, list[Image]] = field(default_factory=dict)
    seconds: float = 0.0


def crop_faces(detector: FaceDetector, faces: Image, count: int, score: float) -> Crops:
    """Draw the faces into scenes, find them, and crop each by every source of landmarks."""
    cut, drawn = Crops(), 0
    with ProgressBar("drawing", len(faces), "faces") as bar:
        for scene in draw_scenes(faces):
            found = detect_everywhere(detector, scene.picture, count)
            for index, square in zip(scene.indices, scene.faces.tolist(), strict=True):
                seen = near_square(found, square)
                best = max((one for one, _ in seen), key=lambda one: one.score, default=None)
                if best is None or best.score < score:
                    continue
                cut.indices.append(int(index))
                started = time.thread_time()
                again = second_pass(detector, scene.picture, best)
                cut.seconds += time.thread_time() - started
                sources = {
                    "best score": best,
                    "closest": min(seen, key=lambda found: (found[1], -found[0].score))[0],
                    "weighted mean": weighted_mean(seen, best),
                    "second pass": again,
                    "box alone": Detection(best.box, best.score),
                }
                for name, source in sources.items():
                    cut.crops.setdefault(name, []).append(align(scene.picture, [source])[0])
            drawn += len(scene.faces)
            bar.update(drawn)
    return cut


def main() -> None:
    """Print the accuracy by each source of landmarks."""
    parser = argparse.ArgumentParser(description="Compare sources of landmarks.")
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--model", default="alexnet-fer", help="a name or a file")
    parser.add_argument("--faces", type=int, default=1500)
    parser.add_argument("--tiles", type=int, default=8)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    model = load(arguments.model)
    faces = load_faces("PublicTest", arguments.data)
    faces = faces[protocol_b(faces.votes) >= 0][: arguments.faces]
    chosen = select()
    cut = crop_faces(create(chosen), faces.images, arguments.tiles, chosen.defaults.score)
    labels = protocol_b(faces.votes[cut.indices])
    bare = predict_all(model, faces.images[cut.indices]).argmax(axis=1) == labels
    print(f"{len(labels)} of {len(faces)} faces found; bare {100 * bare.mean():.1f}%")
    print(f"a second pass takes {1e3 * cut.seconds / max(len(labels), 1):.1f} ms")
    for name, crops in cut.crops.items():
        right = predict_all(model, np.stack(crops)).argmax(axis=1) == labels
        low, high = (100 * limit for limit in accuracy_loss_interval(bare, right))
        lost = 100 * (bare.mean() - right.mean())
        print(f"{name:12} {100 * right.mean():.1f}%, lost {lost:.1f} ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
