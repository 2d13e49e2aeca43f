"""The speed of the original program's loop, reimplemented: frames/s and faces found on a video.

    python -m benchmarks.original_loop VIDEO

A Haar cascade searches each full frame, and each face is a separate call of `model.predict`. The
original was slower for reasons unrelated to its method, which are left out here: there is no window
and no progress bar. The network, with random weights, has the size of alexnet-fer, so that both
programs' networks cost the same.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.analyze.runs import Timing, steady
from emostream.shared.errors import EmostreamError, SourceError
from emostream.shared.pixels import Image

LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
CASCADE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
PYRAMID_STEP, NEIGHBORS = 1.3, 5
SIDE = 48
GREEN, WHITE = (0, 255, 0), (255, 255, 255)


def build_model() -> Any:
    """Return an untrained AlexNet for gray faces (N, 48, 48, 1) from 0 to 1 and seven classes."""
    # Imported here, so that --help does not wait for TensorFlow.
    import keras
    from keras import layers

    def convolution(filters: int, kernel: int) -> Any:
        return layers.Conv2D(filters, kernel, padding="same", activation="relu")

    return keras.Sequential(
        [
            layers.Input((SIDE, SIDE, 1)),
            convolution(32, 5),
            layers.MaxPooling2D(2),
            convolution(96, 3),
            layers.MaxPooling2D(2),
            convolution(160, 3),
            convolution(160, 3),
            convolution(160, 3),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(256, activation="relu"),
            layers.Dense(len(LABELS), activation="softmax"),
        ]
    )


class OriginalLoop:
    """The cascade and the network, loaded and used once, so that start-up does not count."""

    def __init__(self) -> None:
        self._cascade = cv2.CascadeClassifier(str(CASCADE))
        self._model = build_model()
        self.label(np.zeros((SIDE, SIDE), np.uint8))

    def frame(self, picture: Image) -> int:
        """Draw box and label of each face into uint8 (H, W, 3) BGR; return how many there are."""
        gray = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        boxes = self._cascade.detectMultiScale(gray, PYRAMID_STEP, NEIGHBORS)
        for x, y, width, height in boxes:
            label = self.label(gray[y : y + height, x : x + width])
            cv2.rectangle(picture, (x, y), (x + width, y + height), GREEN, 2)
            cv2.putText(picture, label, (x, y - 10), cv2.FONT_HERSHEY_SIMPLEX, 1, WHITE, 2)
        return len(boxes)

    def label(self, face: Image) -> str:
        """Return the label of a face, uint8 (H, W), in a separate call."""
        small = cv2.resize(face, (SIDE, SIDE)) / 255
        answer = self._model.predict(small[None, ..., None], verbose=0)
        return LABELS[int(np.argmax(answer))]


def time_loop(path: Path, frames: int, program: OriginalLoop | None = None) -> tuple[Timing, int]:
    """Time the loop over the first `frames` of a video; return it and the number of faces.

    Raises SourceError if the video does not open, or is shorter.
    """
    program = program or OriginalLoop()
    began = time.perf_counter()
    capture = cv2.VideoCapture(str(path))
    faces = 0
    for number in range(frames):
        success, picture = capture.read()
        if not success:
            raise SourceError(f"{path}: gives {number} frames, {frames} are needed")
        faces += program.frame(np.asarray(picture, np.uint8))
    capture.release()
    return Timing(frames, time.perf_counter() - began), faces


def main() -> int:
    """Time the loop on the video from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.original_loop", description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, nargs=2, default=(25, 150), metavar=("A", "B"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        program = OriginalLoop()
        (short, _), (long, faces) = (time_loop(options.video, n, program) for n in options.frames)
        figures = {"frames_per_second": steady(short, long), "faces": faces / long.frames}
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if options.json:
        print(json.dumps(figures))
    else:
        print("{frames_per_second:.2f} frames/s, {faces:.2f} faces per frame".format(**figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
