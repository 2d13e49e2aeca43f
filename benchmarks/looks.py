"""Which look at a face gives the landmarks that the classifier reads it best by.

    python -m benchmarks.looks --faces 1500

A face is often found twice: in the whole frame, where it is small in the detector's input, and in
a tile. Compared are the crops by the best score, by the closest look, by the mean that weighs
looks by score and closeness, and by a second look around the found face; each with its gap to the
same faces bare.
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
from emostream.models.data import FOLDER, protocol_b, read
from emostream.models.evaluation.gap import NEAR, distances
from emostream.models.evaluation.judge import predict
from emostream.models.evaluation.scenes import scenes
from emostream.models.evaluation.scores import gap
from emostream.models.progress import Progress
from emostream.services.detector.backends import DEFAULTS, create
from emostream.services.detector.detection import Detection, FaceDetector, as_boxes
from emostream.services.detector.tiling import Region, region_around, search, tiles
from emostream.shared.pixels import Image

Look = tuple[Detection, float]  # and the side of the window that it was seen in
SAME_SIZE = 1.5  # boxes that differ more show different parts of a face


def looks(detector: FaceDetector, picture: Image, count: int) -> list[Look]:
    """Return all that is found in the frame and each of its tiles."""
    height, width = picture.shape[:2]
    windows: list[Region] = [(0, 0, width, height), *tiles(width, height, count)]
    return [
        (one, float(max(window[2:])))
        for window in windows
        for one in search(detector, picture, [window])
    ]


def near(found: Sequence[Look], square: Sequence[float]) -> list[Look]:
    """Return the looks at the face in a square x, y, side, side."""
    off = distances(as_boxes([one for one, _ in found]), np.array([square]))[:, 0]
    return [look for look, far in zip(found, off, strict=True) if far < NEAR]


def mean(seen: Sequence[Look], best: Detection) -> Detection:
    """Return the mean of the looks at the whole face, weighed by score and closeness."""
    size = best.box[2]
    whole = [(d, w) for d, w in seen if 1 / SAME_SIZE < d.box[2] / size < SAME_SIZE]
    weights = [d.score / w**2 for d, w in whole]
    box = np.average([d.box for d, _ in whole], axis=0, weights=weights).tolist()
    points = np.average([d.landmarks for d, _ in whole], axis=0, weights=weights).tolist()
    return Detection((box[0], box[1], box[2], box[3]), best.score, tuple((a, b) for a, b in points))


def second(detector: FaceDetector, picture: Image, best: Detection) -> Detection:
    """Look again, in a window of four times the face's side."""
    height, width = picture.shape[:2]
    found = search(detector, picture, [region_around(best.box, width, height)])
    x, y, w, h = best.box
    for one in found:
        a, b, c, d = one.box
        if max(abs(a + c / 2 - x - w / 2), abs(b + d / 2 - y - h / 2)) < max(w, h) / 2:
            return one
    return best


@dataclass
class Cut:
    """The faces that were found, and their crops by each way; `seconds` of all second looks."""

    indices: list[int] = field(default_factory=list)
    crops: dict[str, list[Image]] = field(default_factory=dict)
    seconds: float = 0.0


def cut_out(detector: FaceDetector, faces: Image, count: int) -> Cut:
    """Draw the faces into scenes, find them, and cut each out in every way."""
    cut, drawn, progress = Cut(), 0, Progress("faces", len(faces))
    for scene in scenes(faces):
        found = looks(detector, scene.picture, count)
        for index, square in zip(scene.indices, scene.faces.tolist(), strict=True):
            seen = near(found, square)
            best = max((one for one, _ in seen), key=lambda one: one.score, default=None)
            if best is None or best.score < DEFAULTS["blazeface"].score:
                continue
            cut.indices.append(int(index))
            started = time.thread_time()
            again = second(detector, scene.picture, best)
            cut.seconds += time.thread_time() - started
            ways = {
                "best score": best,
                "closest look": min(seen, key=lambda look: (look[1], -look[0].score))[0],
                "weighed mean": mean(seen, best),
                "second look": again,
                "box alone": Detection(best.box, best.score),
            }
            for name, way in ways.items():
                cut.crops.setdefault(name, []).append(align(scene.picture, [way])[0])
        drawn += len(scene.faces)
        progress.show(drawn, "drawn")
    return cut


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare sources of landmarks.")
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--model", default="alexnet-fer", help="a name or a file")
    parser.add_argument("--faces", type=int, default=1500)
    parser.add_argument("--tiles", type=int, default=8)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    model = load(arguments.model)
    faces = read("PublicTest", arguments.data)
    faces = faces[protocol_b(faces.votes) >= 0][: arguments.faces]
    cut = cut_out(create("blazeface"), faces.images, arguments.tiles)
    labels = protocol_b(faces.votes[cut.indices])
    bare = predict(model, faces.images[cut.indices]).argmax(axis=1) == labels
    print(f"{len(labels)} of {len(faces)} faces found; bare {100 * bare.mean():.1f}%")
    print(f"a second look takes {1e3 * cut.seconds / max(len(labels), 1):.1f} ms")
    for name, crops in cut.crops.items():
        right = predict(model, np.stack(crops)).argmax(axis=1) == labels
        low, high = (100 * limit for limit in gap(bare, right))
        lost = 100 * (bare.mean() - right.mean())
        print(f"{name:12} {100 * right.mean():.1f}%, lost {lost:.1f} ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
