"""Opens a source of any kind as an iterator over its pictures.

The reader of each kind is imported when such a source is opened, on its own thread, because FFmpeg
takes time and memory that a camera does not need.
"""

from collections.abc import Callable
from typing import TypeAlias

from emostream.services.capture.clock import Clock
from emostream.services.capture.pace import paced, sampled
from emostream.services.capture.picture import OnSkip, Picture, Pictures
from emostream.services.capture.source_url import SourceKind, local_path, source_kind
from emostream.shared.config import Source

DEFAULT_FPS = 25.0

SourceReader: TypeAlias = Callable[[Source, OnSkip, Clock], Pictures]


def open_source(
    settings: Source, on_skip: OnSkip, clock: Clock, *, planar: bool = False
) -> Pictures:
    """Return the pictures of the configured source, once from start to end, at its pace.

    The source is opened on the first step. `on_skip` is called with a line for each skipped
    picture. With `planar`, pictures of files may be I420, see `Picture`. Iterating raises
    SourceError if the source cannot be opened or fails.
    """
    match source_kind(settings.url):
        case SourceKind.CAMERA:
            from emostream.services.capture.camera import camera_pictures

            return camera_pictures(settings, clock)
        case SourceKind.NETWORK:
            from emostream.services.capture.ffmpeg.network_stream import network_pictures

            return network_pictures(settings.url, settings.freeze_after, on_skip, clock)
        case SourceKind.DEMO:
            pictures = demo_pictures(settings)
        case SourceKind.FOLDER:
            from emostream.services.capture.folder import folder_pictures

            fps = settings.fps or DEFAULT_FPS
            pictures = folder_pictures(local_path(settings.url), fps, on_skip)
        case SourceKind.FILE:
            from emostream.services.capture.ffmpeg.video_file import video_pictures

            decoded = video_pictures(settings.url, on_skip, clock.wait, planar=planar)
            pictures = sampled(decoded, settings.sample)
    return paced(pictures, clock) if settings.pace == "real" else pictures


def demo_pictures(settings: Source) -> Pictures:
    """The demo, forever."""
    from emostream.services.capture.demo.scene import DemoScene

    fps = settings.fps or DEFAULT_FPS
    scene = DemoScene(settings.width or 1280, settings.height or 720, fps=fps)
    n = 0
    while True:
        yield Picture(scene.frame(n), round(n * 1e9 / fps))
        n += 1
