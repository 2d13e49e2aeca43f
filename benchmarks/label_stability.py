"""Measures how stable the demo's labels are, and whether they match the strongest probability.

    python -m benchmarks.label_stability --seconds 160

Every frame of the demo passes through detector and classifier with the default configuration. A
face-frame agrees if the displayed label is the strongest smoothed probability. The label changes
are compared with those in the script.
"""

import argparse
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from emostream.services.capture.demo.scene import DemoScene
from emostream.services.capture.framer import Framer
from emostream.services.capture.picture import Picture
from emostream.services.classifier import process as classifier_process
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.process import open_model
from emostream.services.classifier.smoothing import NS
from emostream.services.detector import process as detector_process
from emostream.services.detector.process import selected
from emostream.shared.config import Config
from emostream.shared.messages import Emotion, EmotionFace, Event, Message
from emostream.shared.progress import ProgressBar

MIN_AGREEMENT = 0.98
MAX_EXCESS = 0.1  # ratio of label changes to those in the script, either way


@dataclass
class Stability:
    """Counts over the displayed faces; `changes` are events of that kind."""

    face_frames: int = 0
    agreeing: int = 0
    changes: int = 0
    scripted: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, messages: Sequence[Message]) -> None:
        """Count the events and emotions of a frame."""
        for message in messages:
            header = message.header
            if isinstance(header, Event):
                self.changes += header.kind == "change"
            elif isinstance(header, Emotion):
                shown = [face for face in header.faces if not face.left_out]
                self.face_frames += len(shown)
                self.agreeing += sum(map(is_strongest, shown))

    @property
    def agreement(self) -> float:
        """The share of face-frames whose label is the strongest smoothed probability."""
        return self.agreeing / max(self.face_frames, 1)

    @property
    def true_changes(self) -> int:
        """How often the script changes a person's emotion."""
        labels = self.scripted.values()
        return sum(a != b for each in labels for a, b in itertools.pairwise(each))


def is_strongest(face: EmotionFace) -> bool:
    """Whether the face's label is the strongest of its smoothed probabilities."""
    return face.label == max(face.smoothed, key=face.smoothed.__getitem__)


def frames(scene: DemoScene, count: int) -> Iterator[Message]:
    """Yield the demo's frames as capture sends them."""
    framer = Framer("bgr8", 90)
    for seq in range(count):
        pts = round(seq * NS / scene.fps)
        yield framer.frame("demo", Picture(scene.frame(seq), pts, t=pts))


def measure(seconds: float) -> Stability:
    """Return the counts over the demo's first seconds."""
    config, scene, counted = Config(), DemoScene(), Stability()
    detector = detector_process.new_stage(config.detector, selected(config.detector), live=True)
    model = open_model(config.classifier)
    classifier = classifier_process.new_stage(
        config.classifier, model, ClassifierMetrics(CollectorRegistry())
    )
    count = round(seconds * scene.fps)
    with ProgressBar("demo", count, "frames") as bar:
        for seq, message in enumerate(frames(scene, count)):
            counted.add(classifier(detector(message)))
            for face in scene.truth(seq):
                counted.scripted[face.person].append(face.label)
            bar.update(seq + 1)
    return counted


def main() -> None:
    """Measure, print, and fail if a limit is not met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=160)
    seconds = parser.parse_args().seconds
    counted = measure(seconds)
    minutes = seconds / 60
    print(f"{counted.face_frames:,} face-frames, {counted.agreement:.1%} agree")
    print(
        f"{counted.changes / minutes:.1f} changes a minute, "
        f"{counted.true_changes / minutes:.1f} in the script"
    )
    excess = abs(counted.changes - counted.true_changes) / max(counted.true_changes, 1)
    if counted.agreement < MIN_AGREEMENT or excess > MAX_EXCESS:
        raise SystemExit("too unsteady, or too slow")


if __name__ == "__main__":
    main()
