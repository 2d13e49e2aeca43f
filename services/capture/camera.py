"""Cameras, read by OpenCV."""

import sys

import cv2

from emostream.services.capture.clock import Clock
from emostream.services.capture.picture import Picture, Pictures, as_bgr
from emostream.services.capture.source_url import camera_device
from emostream.shared.config import Source
from emostream.shared.errors import SourceError

# OpenCV's V4L2 and AVFoundation backends number cameras alike on every system; PyAV's devices need
# a name and options that differ on each.
CAMERA_BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION}


def camera_pictures(settings: Source, clock: Clock) -> Pictures:
    """Yield the pictures of a camera until it fails, with their arrival times.

    Raises SourceError if the camera cannot be opened, and when it fails.
    """
    capture = _open_camera(settings)
    try:
        start: float | None = None
        while True:
            success, pixels = capture.read()
            if not success or pixels is None:
                raise SourceError(
                    f"camera {camera_device(settings.url)} stopped delivering pictures"
                )
            arrived = clock.now()
            start = arrived if start is None else start
            yield Picture(as_bgr(pixels), round((arrived - start) * 1e9))
    finally:
        capture.release()


def _open_camera(settings: Source) -> cv2.VideoCapture:
    # OpenCV would print its own lines for each missing camera.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(
        camera_device(settings.url), CAMERA_BACKENDS.get(sys.platform, cv2.CAP_ANY)
    )
    if not capture.isOpened():
        raise SourceError(
            f"camera {camera_device(settings.url)} cannot be opened: "
            "is it plugged in, free, and permitted?"
        )
    if settings.width and settings.height:
        # Many USB cameras deliver large pictures at full rate only as JPEG.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
    if settings.fps:
        capture.set(cv2.CAP_PROP_FPS, settings.fps)
    return capture
