"""Checks that detectors find the demo's faces and the classifier recognizes their emotions.

    python -m benchmarks.demo --seconds 160 --step 5 --seed 1

Each installed detector searches the frames with the settings for files. The frames then pass
through detector and classifier with the default configuration. The raw label (the most probable one
in the single frame) is compared with the truth if a face shows a single emotion.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from prometheus_client import CollectorRegistry

from emostream.models.labels import LABELS
from emostream.services.capture.demo.scene import DemoScene, TrueFace
from emostream.services.capture.framer import Framer
from emostream.services.capture.picture import Picture
from emostream.services.classifier import process as classifier_process
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.process import open_model
from emostream.services.classifier.smoothing import NS
from emostream.services.detector import process as detector_process
from emostream.services.detector.backends import DEFAULTS, create, select
from emostream.services.detector.detection import FaceDetector
from emostream.services.detector.process import selected
from emostream.services.detector.tiling import Tiling, search_whole
from emostream.shared.config import Config
from emostream.shared.errors import EmostreamError
from emostream.shared.messages import Box, Emotion
from emostream.shared.pixels import Image

MIN_IOU = 0.4
MIN_RECALL, MIN_AGREEMENT, MIN_LABEL_AGREEMENT = 0.99, 0.95, 0.85

Find = Callable[[Image], Sequence[Box]]


def iou(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes of x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def installed_detectors() -> Iterator[tuple[str, Find]]:
    """Yield each available detector by name, as a function that searches one frame."""
    for name, defaults in DEFAULTS.items():
        try:
            detector = create(select(name))
        except EmostreamError as error:
            print(f"{name}: {error}")
            continue
        yield name, partial(_boxes, detector, Tiling(defaults.still_tiles, 1), defaults.score)


def _boxes(detector: FaceDetector, tiling: Tiling, score: float, frame: Image) -> list[Box]:
    return [one.box for one in search_whole(detector, frame, tiling=tiling, score=score)]


def recall(find: Find, scene: DemoScene, numbers: Sequence[int]) -> float:
    """Return the share of true faces with a matching box."""
    hits = [
        any(iou(face.box, box) >= MIN_IOU for box in found)
        for n in numbers
        for found in [find(scene.frame(n))]
        for face in scene.truth(n)
    ]
    return sum(hits) / len(hits)


def raw_labels(scene: DemoScene, numbers: Sequence[int]) -> Iterator[tuple[TrueFace, str]]:
    """Yield each true face with one emotion and the classifier's raw label, "" if not found."""
    config = Config()
    detector = detector_process.new_stage(config.detector, selected(config.detector), live=True)
    classifier = classifier_process.new_stage(
        config.classifier, open_model(config.classifier), ClassifierMetrics(CollectorRegistry())
    )
    framer = Framer("bgr8", 90)
    for n in numbers:
        pts = round(n * NS / scene.fps)
        answers = classifier(detector(framer.frame("demo", Picture(scene.frame(n), pts, t=pts))))
        shown = [
            face
            for message in answers
            if isinstance(message.header, Emotion)
            for face in message.header.faces
            if face.probabilities
        ]
        for truth in scene.truth(n):
            if len(truth.mix) == 1:
                fits = [face for face in shown if iou(truth.box, face.box) >= MIN_IOU]
                named = max(fits, key=lambda face: iou(truth.box, face.box), default=None)
                chances = named.probabilities if named else {"": 1.0}
                yield truth, max(chances, key=chances.__getitem__)


def main() -> None:
    """Measure, print, and fail if a limit is not met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=160)
    parser.add_argument("--step", type=int, default=5, help="use every Nth frame")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    scene = DemoScene(seed=arguments.seed)
    numbers = range(0, round(arguments.seconds * scene.fps), arguments.step)
    well = True
    for name, find in installed_detectors():
        share = recall(find, scene, numbers)
        well &= share >= MIN_RECALL
        print(f"{name:9} finds {share:.1%} of {len(numbers) * len(scene.truth(0)):,} faces")
    counted = Counter((truth.label, label) for truth, label in raw_labels(scene, numbers))
    right = sum(count for (true, label), count in counted.items() if true == label)
    agreement = right / counted.total()
    well &= agreement >= MIN_AGREEMENT
    print(f"{agreement:.1%} of {counted.total():,} faces of one emotion are named right")
    for true in LABELS:
        named = {label: count for (one, label), count in counted.items() if one == true}
        if named:
            share = named.get(true, 0) / sum(named.values())
            well &= share >= MIN_LABEL_AGREEMENT
            others = {label or "none": count for label, count in named.items() if label != true}
            print(f"  {true:9} {share:6.1%} of {sum(named.values())}, others {others}")
    if not well:
        raise SystemExit("the demo does not show what it says")


if __name__ == "__main__":
    main()
