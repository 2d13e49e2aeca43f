"""The cost and accuracy of windowed search: python -m benchmarks.search_by_need.

PublicTest faces enter rooms of 1280 x 720, cross them and leave, or stand still for eight frames,
as in `emostream evaluate --scenes`. The detector's stage gets the same frames, one by one, for each
`detector.search_every`, with the settings for recordings, in one process. So nothing is encoded,
and CPU times are comparable.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks.detector_data import clear_faces
from emostream.models.evaluation.video_scenes import TrueFaces
from emostream.models.evaluation.video_scores import FoundFaces, VideoScores, score_video
from emostream.services.capture.framer import Framer
from emostream.services.capture.picture import Picture
from emostream.services.cli.evaluation.videos import KINDS, VideoKind
from emostream.services.detector.process import new_detector, new_tiling, selected
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.tracking import track_ids
from emostream.shared.config import Detector
from emostream.shared.messages import Faces, Message
from emostream.shared.pixels import Image

FRAME_NS: Final = 40_000_000


class Searcher:
    """A stage with one `search_every`, with its detections and cost."""

    def __init__(self, every: int) -> None:
        settings = Detector(search_every=every)
        chosen = selected(settings)
        tiling = new_tiling(settings, chosen, live=False)
        self.stage = DetectorStage(new_detector(settings, chosen), track_ids(1), tiling=tiling)
        self.every = every
        self.found: list[FoundFaces] = []
        self.milliseconds: list[float] = []

    def look(self, message: Message) -> None:
        """Search the next frame."""
        before = time.thread_time()
        header = self.stage(message)[0].header
        self.milliseconds.append(1e3 * (time.thread_time() - before))
        assert isinstance(header, Faces)
        boxes = np.array([face.box for face in header.faces], np.float64).reshape(-1, 4)
        tracks = np.array([face.track for face in header.faces], np.int64)
        self.found.append(FoundFaces(tracks, boxes, ("",) * len(tracks)))


def measure(kind: VideoKind, faces: Image, intervals: Sequence[int]) -> list[str]:
    """Return a line for each `search_every`."""
    searchers = [Searcher(every) for every in intervals]
    truth: list[TrueFaces] = []
    framer = Framer("bgr8", 90, recorded=("film",))
    for seq, (picture, shown) in zip(count(), kind.video(faces, 0, kind.style), strict=False):
        truth.append(shown)
        message = framer.frame("film", Picture(picture, seq * FRAME_NS))
        for searcher in searchers:
            searcher.look(message)
    return [
        row(kind.name, each, score_video(zip(truth, each.found, strict=True))) for each in searchers
    ]


def row(name: str, searcher: Searcher, scores: VideoScores) -> str:
    """Return the figures of one search as a row of a table."""
    frames = len(searcher.found)
    delay, late = (1e-6 * FRAME_NS * np.percentile(scores.delays or [0], at) for at in (50, 90))
    cells = (
        name,
        f"{searcher.every}",
        f"{statistics.fmean(searcher.milliseconds):.1f}",
        f"{searcher.stage.windows_only / frames:.0%}",
        f"{scores.recall:.1%} of {scores.faces}",
        f"{scores.false_per_100:.1f}",
        f"{delay:.0f} ({late:.0f}) ms",
        f"{scores.switches} of {scores.people}",
    )
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--faces", type=int, default=500, help="a part of them for each video")
    parser.add_argument("--every", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--only", default="", metavar="TEXT", help="videos whose name has TEXT")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    faces = clear_faces("PublicTest", options.data / "fer").images[: options.faces]
    print("| video | every | ms | windows only | found | false/100 | first box | switches |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind in KINDS:
        if options.only in kind.name:
            drawn = faces[: max(1, round(kind.part * len(faces)))]
            print(*measure(kind, drawn, options.every), sep="\n", flush=True)


if __name__ == "__main__":
    main()
