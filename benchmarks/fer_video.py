"""What `benchmarks.peers` starts in the environment of the package `fer`, which lacks ours.

    /tmp/fer-venv/bin/python benchmarks/fer_video.py VIDEO

It analyses the first frames of a video as fer's own class for videos does and prints its frames/s
between two lengths and the faces a frame, as JSON. Run it in an empty folder: fer writes data.csv.
"""

import argparse
import json
import time

# The release 25.10.3 offers neither of them from `fer` itself, as its README has it.
from fer.classes import Video
from fer.fer import FER


def analyse(detector: FER, path: str, frames: int, save_video: bool) -> tuple[float, int]:
    """Return the seconds that so many frames take, and how many faces they have."""
    began = time.perf_counter()
    rows = Video(path).analyze(
        detector,
        max_results=frames,
        save_video=save_video,
        save_frames=False,
        zip_images=False,
    )
    seconds = time.perf_counter() - began
    return seconds, sum(key.startswith("box") for row in rows for key in row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video")
    parser.add_argument("--frames", type=int, nargs=2, default=(25, 150))
    parser.add_argument("--mtcnn", action="store_true", help="its other detector")
    parser.add_argument("--save-video", action="store_true", help="annotated, as it does")
    options = parser.parse_args()
    short, long = options.frames
    detector = FER(mtcnn=options.mtcnn)
    # What is loaded at the first frame counts for neither length.
    analyse(detector, options.video, 1, False)
    before, _ = analyse(detector, options.video, short, options.save_video)
    after, faces = analyse(detector, options.video, long, options.save_video)
    rate = (long - short) / (after - before)
    print(json.dumps({"frames_per_second": rate, "faces": faces / long}))


if __name__ == "__main__":
    main()
