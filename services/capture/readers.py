"""The sources of pictures, each an iterator that opens on its first step and ends with its last."""

import contextlib
import re
import sys
from pathlib import Path

import cv2

from emostream.services.capture.address import Kind, camera_device, kind_of, local_path
from emostream.services.capture.demo.scene import Demo
from emostream.services.capture.files.video import Skipped, file_pictures, network_pictures
from emostream.services.capture.pace import Clock, Pictures, paced
from emostream.services.capture.picture import Picture, as_bgr
from emostream.shared.config import Source
from emostream.shared.errors import SourceError

IMAGES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
DEFAULT_FPS = 25.0
# OpenCV's V4L2 and AVFoundation backends number cameras alike on every system; PyAV's devices need
# a name and options that differ on each.
BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION}


def read(settings: Source, skipped: Skipped, clock: Clock) -> Pictures:
    """Return the pictures of the configured source, once from beginning to end, at its pace.

    `skipped` is called with a line for each picture that had to be left out. Iterating raises
    SourceError where the source cannot be opened or breaks off.
    """
    match kind_of(settings.url):
        case Kind.CAMERA:
            return camera_pictures(settings, clock)
        case Kind.NETWORK:
            return network_pictures(settings.url, settings.freeze_after, skipped, clock)
        case Kind.DEMO:
            pictures = demo_pictures(settings)
        case Kind.FOLDER:
            fps = settings.fps or DEFAULT_FPS
            pictures = folder_pictures(local_path(settings.url), fps, skipped)
        case Kind.FILE:
            pictures = sampled(file_pictures(settings.url, skipped), settings.sample)
    return paced(pictures, clock) if settings.pace == "real" else pictures


def demo_pictures(settings: Source) -> Pictures:
    """The demo, for ever."""
    fps = settings.fps or DEFAULT_FPS
    demo = Demo(settings.width or 1280, settings.height or 720, fps=fps)
    n = 0
    while True:
        yield Picture(demo.frame(n), round(n * 1e9 / fps))
        n += 1


def sampled(pictures: Pictures, rate: float) -> Pictures:
    """Leave out pictures so that at most `rate` a second of the source's time remain; 0 keeps all.

    The first picture of each interval of 1 / `rate` s is taken, so the times do not drift.
    """
    taken = -1
    with contextlib.closing(pictures):
        for picture in pictures:
            # A picture at an interval's edge must not fall to the one before by rounding.
            interval = int(picture.pts * rate / 1e9 + 1e-6)
            if not rate or interval > taken:
                taken = interval
                yield picture


def folder_pictures(folder: Path, fps: float, skipped: Skipped) -> Pictures:
    """The images of a folder in natural order (2 before 10), as if taken at `fps`.

    Raises SourceError where none can be read; `skipped` is called for each that cannot.
    """
    paths = sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in IMAGES),
        key=lambda path: natural_order(path.name),
    )
    if not paths:
        raise SourceError(f"{folder}: no pictures in it ({', '.join(sorted(IMAGES))})")
    count = 0
    for path in paths:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if pixels is None:
            skipped(f"{path}: no readable picture, left out")
            continue
        yield Picture(as_bgr(pixels), round(count * 1e9 / fps))
        count += 1
    if not count:
        raise SourceError(f"{folder}: none of its {len(paths)} pictures can be read")


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key: numbers in the name count as numbers, letters without regard to case."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part.casefold())
        for part in re.split(r"(\d+)", name)
    ]


def camera_pictures(settings: Source, clock: Clock) -> Pictures:
    """The pictures of a camera until it fails; their times are those of their arrival."""
    capture = _open_camera(settings)
    try:
        start: float | None = None
        while True:
            there, pixels = capture.read()
            if not there or pixels is None:
                raise SourceError(f"{settings.url}: the camera stopped giving pictures")
            arrived = clock.now()
            start = arrived if start is None else start
            yield Picture(as_bgr(pixels), round((arrived - start) * 1e9))
    finally:
        capture.release()


def _open_camera(settings: Source) -> cv2.VideoCapture:
    # OpenCV would print lines of its own for each camera that is missing.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(camera_device(settings.url), BACKENDS.get(sys.platform, cv2.CAP_ANY))
    if not capture.isOpened():
        raise SourceError(
            f"{settings.url}: the camera cannot be opened; is it plugged in, free, and permitted?"
        )
    if settings.width and settings.height:
        # Many USB cameras give large pictures at full rate as JPEG alone.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
    if settings.fps:
        capture.set(cv2.CAP_PROP_FPS, settings.fps)
    return capture
