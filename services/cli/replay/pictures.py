"""The pictures of a recorded session, located by their source time."""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from emostream.services.capture.ffmpeg.video_file import video_pictures
from emostream.services.capture.picture import Picture, Pictures
from emostream.services.cli.replay.steps import ReplayStep
from emostream.services.recorder.archive.rows import FrameRow, Run
from emostream.services.recorder.archive.video_files import VideoFileName
from emostream.shared.errors import SourceError
from emostream.shared.messages import Frame, Message
from emostream.shared.pixels import Image

Times: TypeAlias = NDArray[np.int64]

# A file's own clock has 60,000 ticks per second, and no source has 500 fps.
TOLERANCE_NS: Final = 1_000_000
# The number of a file's first pictures to compare with the rows.
LOOK_AT: Final = 250
# A picture has no row if its frame was not answered, but not this many consecutive pictures.
MAY_LACK: Final = 10
log = logging.getLogger("emostream")


@dataclass(frozen=True, slots=True)
class PicturedStep:
    """A step with its picture, None if there is none."""

    step: ReplayStep
    picture: Image | None = None


class RunPictures:
    """A run's pictures, requested in order of time."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._next: Picture | None = None

    def at(self, pts: int) -> Image | None:
        """Return the picture at that time, uint8 (height, width, 3) BGR, and forget earlier ones.

        `pts` is ns in the source.
        """
        while self._next is None or self._next.pts < pts - TOLERANCE_NS:
            self._next = next(self._pictures, None)
            if self._next is None:
                return None
        if self._next.pts > pts + TOLERANCE_NS:
            return None
        picture, self._next = self._next, None
        return picture.pixels

    def close(self) -> None:
        """Close the files."""
        self._pictures.close()


class AnalyzedPictures(RunPictures):
    """The pictures of an analyzed file, requested in frame order."""

    def at(self, pts: int) -> Image | None:
        """Return the next picture with that time, and forget earlier ones; times may go back."""
        same = (one for one in self._pictures if abs(one.pts - pts) <= TOLERANCE_NS)
        found = next(same, None)
        return None if found is None else found.pixels


def with_pictures(
    due: Iterator[tuple[int, ReplayStep]], open_pictures: Callable[[Run], RunPictures]
) -> Iterator[tuple[int, PicturedStep]]:
    """Yield each step with its picture; `open_pictures` opens those of a run."""
    opened: dict[tuple[str, str], RunPictures] = {}
    try:
        for at, step in due:
            key = (step.run.stream, step.run.id)
            if key not in opened:
                opened[key] = open_pictures(step.run)
            yield at, PicturedStep(step, None if step.end else opened[key].at(step.pts))
            if step.end:
                opened.pop(key).close()
    finally:
        for pictures in opened.values():
            pictures.close()


def frame_message(pictured: PicturedStep, stream: str, run: str, t: int) -> Message | None:
    """Return the picture's message with this name and run, as captured at `t`."""
    step = pictured.step
    if pictured.picture is None and not step.end:
        return None
    height, width = (1, 1) if pictured.picture is None else pictured.picture.shape[:2]
    header = Frame(
        stream=stream, run=run, seq=step.seq, t=t, pts=step.pts, marks={}, width=width,
        height=height, encoding="bgr8", end=step.end, frames=step.seq if step.end else 0,
    )  # fmt: skip
    return Message(header, None if pictured.picture is None else pictured.picture.data.cast("B"))


def analyzed_pictures(path: Path) -> RunPictures:
    """Return the pictures of the analyzed file."""
    return AnalyzedPictures(_readable(path))


def recorded_pictures(paths: Sequence[Path], frames: Iterable[FrameRow]) -> RunPictures:
    """Return the recorder's pictures of a run; `frames` are the run's rows."""
    return RunPictures(_placed_in_time(paths, frames))


def _placed_in_time(paths: Sequence[Path], frames: Iterable[FrameRow]) -> Pictures:
    rows = np.array([(frame.pts, frame.t) for frame in frames], np.int64).reshape(-1, 2)
    pts, seconds = rows[:, 0], rows[:, 1] // 10**9
    last = np.iinfo(np.int64).min
    for path in paths:
        name = VideoFileName.parse(path)
        assert name is not None
        rows_then = pts[(seconds == name.second) & (pts > last)]
        start = _start_pts(_first_times(path), np.sort(pts), rows_then)
        if start is None:
            log.warning("%s: matches no recorded frame; skipped", path)
            continue
        for picture in _readable(path):
            last = start + picture.pts
            yield Picture(picture.pixels, last)


def _start_pts(times: Times, pts: Times, then: Times) -> int | None:
    """Return the pts (ns) of a file's first picture; None if no row matches.

    A file has the `times` of its pictures relative to the first one, and its name has the second of
    the first one. So one of its first pictures is one of the frames `then`. Of all these pairs, the
    result is the one for which most of `times` match a row's `pts` (sorted); of equally good ones,
    the earliest.
    """
    starts = np.unique(then[:, None] - times[None, :MAY_LACK])
    if not len(starts):
        return None
    return int(max(starts, key=lambda start: _matches(times + start, pts)))


def _matches(times: Times, pts: Times) -> int:
    at = np.searchsorted(pts, times - TOLERANCE_NS)
    within = at < len(pts)
    return int(np.count_nonzero(pts[at[within]] <= times[within] + TOLERANCE_NS))


def _first_times(path: Path) -> Times:
    """Return the times (ns) of the file's first pictures, from 0, without decoding them."""
    try:
        with av.open(f"file:{path}", options={"protocol_whitelist": "file"}) as container:
            packets = itertools.islice(container.demux(container.streams.video), LOOK_AT)
            times = sorted(
                int(packet.pts * packet.time_base * 10**9)
                for packet in packets
                if packet.pts is not None and packet.time_base is not None
            )
    except (av.FFmpegError, OSError):
        # Errors are reported when its pictures are read.
        return np.zeros(1, np.int64)
    return np.array(times or [0], np.int64) - (times or [0])[0]


def _readable(path: Path) -> Pictures:
    """Yield the file's pictures as far as readable."""
    try:
        yield from video_pictures(str(path), lambda line: log.warning("%s", line))
    except SourceError as error:
        log.warning("%s", error)
