"""Creates the clips for timing `analyze`: 1280 x 720, 25 fps, H.264, three faces.

    python -m benchmarks.make_clips FOLDER --seconds 10 40

If the clips of real people are available, a real man is shown three times, otherwise the three
people of the demo. A Haar cascade finds all three in both; in another clip, with a woman and a man
who turn and tilt their heads, it finds none. An existing clip is not created again; the shorter
clip is the beginning of the longer one.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import msgspec

from benchmarks.analyze.runs import Clip
from benchmarks.frames import ping_pong, read_frames
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.recorder.encoding import best_encoder
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import EmostreamError, SourceError
from emostream.shared.pixels import Image

FPS = 25
SECOND_NS = 10**9
PEOPLE = 3
CLIPS = Path("../shared/data/clips")
# 480 x 270 at 12.5 fps.
MAN = "head-pose-face-detection-male.gif"
# Upper left corner, first frame, and whether it is mirrored.
PANELS = ((120, 60, 0, False), (680, 60, 20, True), (400, 380, 41, False))
REPEATS = 2


def make_clip(folder: Path, seconds: float, sources: Path = CLIPS) -> Clip:
    """Return the clip of that length, of a real man if `sources` has his clip."""
    if (sources / MAN).is_file():
        shows, name, pictures = "a real man, three times", "real", real_frames(sources / MAN)
    else:
        shows, name, pictures = "the three people of the demo", "demo", demo_frames()
    frames = round(seconds * FPS)
    path = folder / f"{name}-{frames}.mp4"
    if not path.is_file():
        write_video(path, islice(pictures, frames))
    return Clip(str(path), frames, PEOPLE, shows)


def demo_frames() -> Iterator[Image]:
    """Yield the demo's frames, each uint8 (720, 1280, 3) BGR, endlessly."""
    scene, number = DemoScene(faces=PEOPLE, fps=FPS), 0
    while True:
        yield scene.frame(number)
        number += 1


def real_frames(source: Path) -> Iterator[Image]:
    """Yield frames with three real faces of natural size on the demo's wall, endlessly.

    The clip is played back and forth, so that nobody jumps when it repeats.
    """
    images, wall, number = read_frames(source), DemoScene(faces=0).frame(0), 0
    while True:
        picture = wall.copy()
        for x, y, start, mirrored in PANELS:
            image = images[ping_pong(start + number // REPEATS, len(images))]
            image = image[:, ::-1] if mirrored else image
            picture[y : y + image.shape[0], x : x + image.shape[1]] = image
        yield picture
        number += 1


def write_video(path: Path, pictures: Iterator[Image]) -> None:
    """Write a video of these pictures, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first = next(pictures)
    height, width = first.shape[:2]
    with (
        atomic_file(path) as unfinished,
        VideoFile(unfinished, width, height, best_encoder()) as writer,
    ):
        for number, picture in enumerate(chain([first], pictures)):
            writer.write(picture, number * SECOND_NS // FPS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Create the clips, and print each as a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.make_clips", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 40.0])
    parser.add_argument("--sources", type=Path, default=CLIPS, help="clips of people (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        for seconds in options.seconds:
            clip = make_clip(options.folder, seconds, options.sources)
            print(msgspec.json.encode(clip).decode())
    except (EmostreamError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, EmostreamError) else SourceError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
