"""Opens a source of any kind as an iterator over its pictures."""

from collections.abc import Callable
from typing import TypeAlias

from emostream.services.capture.camera import camera_pictures
from emostream.services.capture.clock import Clock
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.capture.ffmpeg.network_stream import network_pictures
from emostream.services.capture.ffmpeg.video_file import video_pictures
from emostream.services.capture.folder import folder_pictures
from emostream.services.capture.pace import paced, sampled
from emostream.services.capture.picture import OnSkip, Picture, Pictures
from emostream.services.capture.source_url import SourceKind, local_path, source_kind
from emostream.shared.config import Source

DEFAULT_FPS = 25.0

SourceReader: TypeAlias = Callable[[Source, OnSkip, Clock], Pictures]


def open_source(settings: Source, on_skip: OnSkip, clock: Clock) -> Pictures:
    """Return the pictures of the configured source, once from beginning to end, at its pace.

    The source is opened on the first step. `on_skip` is called with a line for each picture that
    had to be left out. Iterating raises SourceError where the source cannot be opened or breaks
    off.
    """
    match source_kind(settings.url):
        case SourceKind.CAMERA:
            return camera_pictures(settings, clock)
        case SourceKind.NETWORK:
            return network_pictures(settings.url, settings.freeze_after, on_skip, clock)
        case SourceKind.DEMO:
            pictures = demo_pictures(settings)
        case SourceKind.FOLDER:
            fps = settings.fps or DEFAULT_FPS
            pictures = folder_pictures(local_path(settings.url), fps, on_skip)
        case SourceKind.FILE:
            pictures = sampled(video_pictures(settings.url, on_skip, clock.wait), settings.sample)
    return paced(pictures, clock) if settings.pace == "real" else pictures


def demo_pictures(settings: Source) -> Pictures:
    """The demo, forever."""
    fps = settings.fps or DEFAULT_FPS
    scene = DemoScene(settings.width or 1280, settings.height or 720, fps=fps)
    n = 0
    while True:
        yield Picture(scene.frame(n), round(n * 1e9 / fps))
        n += 1
