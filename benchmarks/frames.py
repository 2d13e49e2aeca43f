"""Frames of clips, read completely and played back and forth."""

from pathlib import Path

import cv2
import numpy as np

from emostream.shared.pixels import Image


def read_frames(path: Path) -> list[Image]:
    """Return the frames of a video file, each uint8 (H, W, 3) BGR."""
    capture = cv2.VideoCapture(str(path))
    frames: list[Image] = []
    while True:
        success, frame = capture.read()
        if not success:
            return frames
        frames.append(np.asarray(frame, np.uint8))


def ping_pong(step: int, length: int) -> int:
    """Return the index at `step` in a sequence of `length` that is played back and forth."""
    index = step % max(2 * (length - 1), 1)
    return min(index, 2 * (length - 1) - index)
