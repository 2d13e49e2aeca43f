"""The clips that the benchmarks of `analyze` run on: 1280 x 720, 25 frames/s, H.264, three faces.

    python -m benchmarks.clips FOLDER --seconds 10 40

With the clips of real people at hand a real man is shown three times, else the three people of the
built-in demo. A Haar cascade finds all three in either; of the woman and the man who turn and tilt
their heads in another clip it finds none. A clip that is already in the folder is not made again;
the shorter one begins as the longer does.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path

from benchmarks.scenes import clip
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.recorder.encoding import best_encoder
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.errors import EmostreamError, SourceError
from emostream.shared.pixels import Image

FPS = 25
SECOND_NS = 10**9
PEOPLE = 3
CLIPS = Path("../shared/data/clips")
# Of 480 x 270 at 12.5 frames/s.
MAN = "head-pose-face-detection-male.gif"
# Upper left corner, the frame that it begins with, and whether it is mirrored.
PANELS = ((120, 60, 0, False), (680, 60, 20, True), (400, 380, 41, False))
REPEATS = 2


@dataclass(frozen=True)
class Clip:
    """A video file; `shows` says what can be seen in it."""

    path: str
    frames: int
    people: int
    shows: str


def make(folder: Path, seconds: float, sources: Path = CLIPS) -> Clip:
    """Return the clip of that length, of a real man where `sources` has his."""
    if (sources / MAN).is_file():
        shows, name, pictures = "a real man, three times", "real", real(sources / MAN)
    else:
        shows, name, pictures = "the three people of the demo", "demo", demo()
    frames = round(seconds * FPS)
    path = folder / f"{name}-{frames}.mp4"
    if not path.is_file():
        write(path, islice(pictures, frames))
    return Clip(str(path), frames, PEOPLE, shows)


def demo() -> Iterator[Image]:
    """Give the demo's frames, each uint8 (720, 1280, 3) BGR, without end."""
    scene, number = DemoScene(faces=PEOPLE, fps=FPS), 0
    while True:
        yield scene.frame(number)
        number += 1


def real(source: Path) -> Iterator[Image]:
    """Give frames with three real faces of natural size on the demo's wall, without end.

    The clip runs to and fro, so that nobody jumps where it begins again.
    """
    images, wall, number = clip(source), DemoScene(faces=0).frame(0), 0
    while True:
        picture = wall.copy()
        for x, y, start, mirrored in PANELS:
            image = images[to_and_fro(start + number // REPEATS, len(images))]
            image = image[:, ::-1] if mirrored else image
            picture[y : y + image.shape[0], x : x + image.shape[1]] = image
        yield picture
        number += 1


def to_and_fro(step: int, length: int) -> int:
    """Return the place in a row of `length` after so many steps that turn round at its ends."""
    place = step % max(2 * (length - 1), 1)
    return min(place, 2 * (length - 1) - place)


def write(path: Path, pictures: Iterator[Image]) -> None:
    """Write a video of these pictures, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    first = next(pictures)
    try:
        with VideoFile(unfinished, first.shape[1], first.shape[0], best_encoder()) as writer:
            for number, picture in enumerate(chain([first], pictures)):
                writer.write(picture, number * SECOND_NS // FPS)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the clips and print where they are, one JSON object a line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clips", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 40.0])
    parser.add_argument("--sources", type=Path, default=CLIPS, help="clips of people (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        for seconds in options.seconds:
            print(json.dumps(asdict(make(options.folder, seconds, options.sources))))
    except (EmostreamError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, EmostreamError) else SourceError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
