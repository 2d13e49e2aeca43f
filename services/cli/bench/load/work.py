"""The content of a load: streams of frames, drawn in advance so that sending is cheap."""

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from emostream.services.capture.demo.scene import DemoScene
from emostream.shared.pixels import Image
from emostream.shared.temporary_folder import naming_temporary_files

SIZES: Final = {
    "180p": (320, 180),
    "vga": (640, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "4k": (3840, 2160),
}
SMALLEST, LARGEST = 64, 8192
# Frames are played back and forth: two seconds, unless they take more memory than this.
SECONDS: Final = 2.0
MOST_BYTES: Final = 256_000_000
FEWEST: Final = 4
# More people than this do not fit next to each other; each then fills a cell of a grid.
ABREAST: Final = 3
# The side of a cell's content, in sides of the face.
AROUND: Final = 1.6
# The offset between the movements of the people in the grid, in frames.
APART: Final = 7


@dataclass(frozen=True)
class Work:
    """A number of streams of `width` x `height` pixels at `fps`, each with `faces` faces."""

    streams: int
    faces: int
    width: int
    height: int
    fps: float

    @property
    def offered(self) -> float:
        """The total frames/s of all streams."""
        return self.streams * self.fps

    @property
    def megapixels(self) -> float:
        """The pixels of a frame."""
        return self.width * self.height / 1e6

    def __str__(self) -> str:
        return (
            f"{self.streams} x {self.width}x{self.height} at {self.fps:g}/s,"
            f" {self.faces} face{'s' if self.faces != 1 else ''} each"
        )


def size(text: str) -> tuple[int, int]:
    """Return width and height; a type for argparse."""
    if text.lower() in SIZES:
        return SIZES[text.lower()]
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    found = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(SMALLEST <= side <= LARGEST for side in found):
        raise argparse.ArgumentTypeError(
            f"{text}: write WIDTHxHEIGHT, or one of {', '.join(SIZES)}"
        )
    return found


def drawn(work: Work, folder: Path) -> Path:
    """Return a file with the streams' frames, uint8 (N, height, width, 3) BGR.

    It is created if `folder` does not contain it. Raises TemporaryFolderError if it cannot be
    written.
    """
    path = folder / f"{work.width}x{work.height}-{work.faces}-{work.fps:g}.npy"
    if not path.exists():
        most = MOST_BYTES // (work.width * work.height * 3)
        count = max(FEWEST, min(round(SECONDS * work.fps), most))
        frames = np.stack(_abreast(work, count) if work.faces <= ABREAST else _grid(work, count))
        with naming_temporary_files():
            np.save(path, frames)
    return path


def _abreast(work: Work, count: int) -> list[Image]:
    scene = DemoScene(work.width, work.height, work.faces, work.fps)
    return [scene.frame(number) for number in range(count)]


def _grid(work: Work, count: int) -> list[Image]:
    """Return frames with people in the cells of a grid, row by row."""
    columns = math.ceil(math.sqrt(work.faces))
    rows = math.ceil(work.faces / columns)
    size = work.width // columns, work.height // rows
    scene = DemoScene(faces=ABREAST, fps=work.fps)
    length = count + APART * columns * rows
    heads = [_heads(scene, number, size) for number in range(length)]
    frames = []
    for number in range(count):
        frame = np.zeros((work.height, work.width, 3), np.uint8)
        for face in range(work.faces):
            row, column = divmod(face, columns)
            top, left = row * size[1], column * size[0]
            head = heads[number + APART * face][face % ABREAST]
            frame[top : top + size[1], left : left + size[0]] = head
        frames.append(frame)
    return frames


def _heads(scene: DemoScene, number: int, size: tuple[int, int]) -> list[Image]:
    """Return each person's head in a frame on black, resized to `size` (width, height)."""
    frame = scene.frame(number)
    found = []
    for face in scene.truth(number):
        x, y, width, height = face.box
        # If it were wider, a neighbor's face would be visible too.
        high, wide = min(AROUND * height, scene.height), min(AROUND * width, scene.width)
        left = round(min(max(0.0, x + width / 2 - wide / 2), scene.width - wide))
        top = round(min(max(0.0, y + height / 2 - high / 2), scene.height - high))
        head = frame[top : top + round(high), left : left + round(wide)]
        across = min(size[0], round(wide * size[1] / high))
        begin = (size[0] - across) // 2
        cell = np.zeros((size[1], size[0], 3), np.uint8)
        cell[:, begin : begin + across] = cv2.resize(
            head, (across, size[1]), interpolation=cv2.INTER_AREA
        )
        found.append(cell)
    return found
