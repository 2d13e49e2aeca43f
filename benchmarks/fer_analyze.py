"""Times the package `fer` on a video; `benchmarks.fer_comparison` starts it in fer's environment.

    /tmp/fer-venv/bin/python benchmarks/fer_analyze.py VIDEO

It analyzes the first frames of a video with fer's own video class, and prints the frames/s between
two lengths and the faces per frame as JSON. Run it in an empty folder, because fer writes data.csv.
"""

import argparse
import json
import time

# Release 25.10.3 exports neither from `fer` itself, although its README says so.
from fer.classes import Video  # type: ignore[import-not-found]
from fer.fer import FER  # type: ignore[import-not-found]


def analyze(detector: FER, path: str, frames: int, save_video: bool) -> tuple[float, int]:
    """Return the time for `frames` frames in s, and the number of faces in them."""
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
    """Print the figures for the video from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video")
    parser.add_argument("--frames", type=int, nargs=2, default=(25, 150))
    parser.add_argument("--mtcnn", action="store_true", help="its other detector")
    parser.add_argument("--save-video", action="store_true", help="annotated, as it does")
    options = parser.parse_args()
    short, long = options.frames
    detector = FER(mtcnn=options.mtcnn)
    # Loading at the first frame counts for neither length.
    analyze(detector, options.video, 1, False)
    before, _ = analyze(detector, options.video, short, options.save_video)
    after, faces = analyze(detector, options.video, long, options.save_video)
    rate = (long - short) / (after - before)
    print(json.dumps({"frames_per_second": rate, "faces": faces / long}))


if __name__ == "__main__":
    main()
