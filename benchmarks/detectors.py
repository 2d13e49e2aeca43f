"""Recall, false positives and time of each face detector, on scenes and on clips.

    python -m benchmarks.detectors --data ../shared/data

Scenes are drawn with faces of the training data; clips show a known number of real people. Times
are CPU times, which other programs on the machine affect less.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.detector_data import clear_faces, load_clips
from emostream.models.evaluation.scenes import Scene, draw_scenes
from emostream.services.capture.framer import Framer
from emostream.services.capture.picture import Picture
from emostream.services.detector.backends import CHOICES, create, select
from emostream.services.detector.detection import Detection, FaceDetector
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.tiling import Tiling, search_whole
from emostream.services.detector.tracking import track_ids
from emostream.shared.messages import Faces
from emostream.shared.pixels import Image

FRAME_NS = 80_000_000
LIVE, FILES, WHOLE, CLOSE = Tiling(2, 5), Tiling(2, 1), Tiling(0, 1), Tiling(8, 1)


@dataclass
class Tally:
    """Counts over many pictures; `milliseconds` of CPU time, one entry per picture."""

    faces: int
    found: int
    false: int
    milliseconds: list[float]

    def __str__(self) -> str:
        median, slow = np.percentile(self.milliseconds, (50, 99))
        recall = self.found / max(self.faces, 1)
        return f"recall {recall:.3f}  false {self.false:3d}  {median:5.1f} ms (p99 {slow:.1f})"


def count_matches(boxes: Sequence[Detection], squares: NDArray[np.float64]) -> int:
    """Count the squares with a matching box, with roughly the same center and size."""
    matched = set()
    for one in boxes:
        x, y, w, h = one.box
        for index, (a, b, side, _) in enumerate(squares):
            off = max(abs(x + w / 2 - a - side / 2), abs(y + h / 2 - b - side / 2))
            if index not in matched and off < 0.3 * side and 0.35 < w / side < 1.4:
                matched.add(index)
                break
    return len(matched)


def tally_scenes(find: Callable[[Image], list[Detection]], drawn: Iterable[Scene]) -> Tally:
    """Count over drawn scenes."""
    tally = Tally(0, 0, 0, [])
    for scene in drawn:
        start = time.thread_time()
        boxes = find(scene.picture)
        tally.milliseconds.append(1e3 * (time.thread_time() - start))
        hits = count_matches(boxes, scene.faces)
        tally.faces += len(scene.faces)
        tally.found += hits
        tally.false += len(boxes) - hits
    return tally


def tally_clip(stage: DetectorStage, frames: Sequence[Image], people: int) -> tuple[str, Tally]:
    """Run the whole stage over a clip; return a line about it, and the counts."""
    tally = Tally(0, 0, 0, [])
    tracks, right = set(), 0
    framer = Framer("bgr8", 90)
    for seq, frame in enumerate(frames):
        message = framer.frame("clip", Picture(frame, seq * FRAME_NS))
        start = time.thread_time()
        header = stage(message)[0].header
        tally.milliseconds.append(1e3 * (time.thread_time() - start))
        assert isinstance(header, Faces)
        number = len(header.faces)
        tracks |= {face.track for face in header.faces}
        right += number == people
        tally.faces += people
        tally.found += min(number, people)
        tally.false += max(number - people, 0)
    return f"right number {right / len(frames):.3f}  tracks {len(tracks)} of {people}", tally


def report(name: str, detector: FaceDetector, data: Path, count: int, score: float) -> None:
    """Print the results of one detector without tiles, live, and with all tiles."""
    faces = clear_faces("PublicTest", data / "fer").images
    for label, tiling in (("whole", WHOLE), ("2 tiles", FILES), ("8 tiles", CLOSE)):
        drawn = islice(draw_scenes(faces), count)
        find = partial(search_whole, detector, tiling=tiling, score=score)
        tally = tally_scenes(find, drawn)
        print(f"{name:9} {label:8} {count} scenes: {tally}", flush=True)
    for label, tiling in (("whole", WHOLE), ("live", LIVE), ("files", FILES), ("8 tiles", CLOSE)):
        for clip, people, frames in load_clips(data / "clips"):
            stage = DetectorStage(detector, track_ids(1), tiling=tiling, score=score)
            line, tally = tally_clip(stage, frames, people)
            print(f"{name:9} {label:8} {clip[:30]:30} {line}  {tally}", flush=True)


def main() -> None:
    """Measure the detector from the command line."""
    parser = argparse.ArgumentParser(description="Measure the face detectors.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--backend", choices=CHOICES, default="auto")
    parser.add_argument("--weights", type=Path, help="weights instead of the usual ones")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--score", type=float, help="minimum score to start a track")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    chosen = select(arguments.backend, arguments.weights)
    score = chosen.defaults.score if arguments.score is None else arguments.score
    detector = create(chosen, score=score)
    print(chosen)
    report(chosen.backend, detector, arguments.data, arguments.scenes, score)


if __name__ == "__main__":
    main()
