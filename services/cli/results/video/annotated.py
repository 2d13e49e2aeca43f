"""The annotated video of an analysis: the source's pictures with faces drawn, and its sound."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from math import nan
from pathlib import Path
from typing import Final, TypeAlias

import av
import cv2
import numpy as np
from av.container import OutputContainer

from emostream.services.capture.ffmpeg.video_file import (
    VideoDescription,
    describe_video,
    video_pictures,
)
from emostream.services.capture.pace import sampled
from emostream.services.capture.picture import Picture, Pictures
from emostream.services.cli.results.video.soundtrack import Soundtrack, soundtrack
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import ObservationRow, Run
from emostream.services.recorder.encoding import FILE_ENCODERS, VideoTrack, best_encoder
from emostream.shared.annotate import annotate, draw, label_and_confidence
from emostream.shared.atomic_file import atomic_file
from emostream.shared.canvas import PlanesCanvas
from emostream.shared.errors import RecordingError, SourceError
from emostream.shared.messages import EmotionFace
from emostream.shared.pixels import Image

Tell: TypeAlias = Callable[[int, int], None]

ANNOTATED_VIDEO: Final = "annotated.mp4"
# The number of pictures decoded ahead of the one being drawn on.
AHEAD: Final = 4
# Web players can seek before the file is complete.
CONTAINER: Final = {"movflags": "+faststart"}


def write_annotated(
    video: Path, target: Path, reader: ArchiveReader, run: Run, tell: Tell, sample: float = 0.0
) -> int:
    """Write a copy of the video as MP4, with the run's faces drawn on it, and its sound.

    Picture n of those that capture takes with this `sample` is frame n of the run; the video ends
    with the run's last frame. Each is shown at its real time, the first at 0. `tell` is called with
    the number of pictures done and the total. The file gets its name when it is complete. Returns
    the number of pictures; if it is 0, there is no file. Raises SourceError if the video cannot be
    opened, RecordingError if the target cannot be written.
    """
    total = run.last + 1
    if not total:
        return 0
    description, done = describe_video(video), 0
    decoded = video_pictures(str(video), lambda line: None, planar=True)
    pictures = _ahead(_readable(sampled(decoded, sample)))
    with (
        atomic_file(target) as part,
        contextlib.closing(pictures),
        _annotated_video(part, target, video, description) as output,
    ):
        for picture in _drawn(islice(pictures, total), reader, run):
            output.add(picture)
            done += 1
            tell(done, total)
        output.finish(whole=run.frames == total)
    return done


class _AnnotatedVideo:
    """The file being written."""

    def __init__(
        self,
        container: OutputContainer,
        video: VideoTrack,
        sound: Soundtrack,
        what: VideoDescription,
    ) -> None:
        self._container, self._video, self._sound = container, video, sound
        self._what = what
        self._pts = 0

    def add(self, picture: Picture) -> None:
        """Add a picture of any size, and the sound before it."""
        self._pts = picture.pts
        self._container.mux(self._video.encode(_fitted(picture, self._what), picture.pts))
        self._sound.write(picture.pts)

    def finish(self, whole: bool) -> None:
        """Flush the encoders, and for a complete video, add the sound after its pictures."""
        self._container.mux(self._video.flush())
        self._sound.write(None if whole else self._pts)


@contextlib.contextmanager
def _annotated_video(
    part: Path, target: Path, video: Path, what: VideoDescription
) -> Iterator[_AnnotatedVideo]:
    encoder = best_encoder()
    try:
        with av.open(part, "w", format="mp4", options=CONTAINER) as container:
            track = VideoTrack(
                container, what.width, what.height, encoder, FILE_ENCODERS[encoder], threads=0,
                aspect=what.pixel_aspect,
            )  # fmt: skip
            with soundtrack(video, container, what.start) as sound:
                yield _AnnotatedVideo(container, track, sound, what)
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordingError(
            f"cannot write {target}: {reason}. Free some space or allow writing there, or use "
            "--no-video"
        ) from error


def _readable(pictures: Pictures) -> Pictures:
    # The analysis has already reported where and why the file fails.
    with contextlib.suppress(SourceError):
        yield from pictures


def _ahead(pictures: Pictures) -> Pictures:
    """Yield the same pictures, decoded on a separate thread."""
    with contextlib.closing(pictures), ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, pictures, None) for _ in range(AHEAD))
        while (picture := waiting.popleft().result()) is not None:
            waiting.append(thread.submit(next, pictures, None))
            yield picture


def _drawn(pictures: Iterator[Picture], reader: ArchiveReader, run: Run) -> Iterator[Picture]:
    """Yield each picture with its faces."""
    recorded = reader.recorded_frames(run)
    frame = next(recorded, None)
    for seq, picture in enumerate(pictures):
        faces: list[EmotionFace] = []
        if frame is not None and frame.row.seq == seq:
            faces = [_face(face, reader.labels) for face in frame.faces]
            frame = next(recorded, None)
        if picture.is_planar:
            # Not shared, so no copy is needed.
            draw(PlanesCanvas(picture.pixels), faces, _text)
            yield picture
        else:
            yield replace(picture, pixels=annotate(picture.pixels, faces, _text))


def _face(row: ObservationRow, labels: tuple[str, ...]) -> EmotionFace:
    known = {label: p for label, p in zip(labels, row.smoothed, strict=True) if p is not None}
    # SQLite has no NaN; a box without numbers is not drawn.
    x, y, width, height = (nan if number is None else number for number in row.box)
    return EmotionFace(
        row.track, (x, y, width, height), {}, known, row.label, row.confidence or 0.0,
        left_out=row.left_out,
    )  # fmt: skip


def _text(face: EmotionFace) -> str:
    return f"#{face.track} {label_and_confidence(face)}"


def _fitted(picture: Picture, what: VideoDescription) -> Image:
    """Return the picture fitted to the size of the video, centered on black."""
    image, width, height = picture.pixels, what.width, what.height
    # The picture's width in pixels of the video.
    across = float(picture.size[0] * picture.pixel_aspect / what.pixel_aspect)
    down = picture.size[1]
    if (across, down) == (width, height):
        return image
    if picture.is_planar:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_YUV2BGR_I420), np.uint8)
    scale = min(width / across, height / down)
    size = (max(1, round(across * scale)), max(1, round(down * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    fitted = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    fitted[top : top + size[1], left : left + size[0]] = small
    return fitted
