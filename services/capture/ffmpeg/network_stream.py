"""Reads streams from the network: RTSP, HTTP and what else FFmpeg takes."""

from emostream.services.capture.clock import Clock
from emostream.services.capture.ffmpeg.container import open_container
from emostream.services.capture.ffmpeg.decoder import VideoDecoder
from emostream.services.capture.pace import paced
from emostream.services.capture.picture import OnSkip, Picture, Pictures
from emostream.shared.source_urls import redact

OPEN_TIMEOUT = 10.0  # seconds
# Formats that carry no timestamps: FFmpeg would invent them at 25 a second.
UNTIMED_FORMATS = {"mpjpeg", "mjpeg"}


def network_pictures(url: str, timeout: float, on_skip: OnSkip, clock: Clock) -> Pictures:
    """Read a stream from the network until it ends or gives nothing for `timeout` seconds.

    A recording, which says how long it is, comes at its own pace; a stream that carries no times
    gets those of its arrival. Raises SourceError, without the URL's secrets, where it cannot be
    opened or read.
    """
    options = {"rtsp_transport": "tcp"} if url.lower().startswith("rtsp") else {}
    with open_container(url, redact(url), (OPEN_TIMEOUT, timeout), options) as (container, stream):
        pictures = iter(VideoDecoder(container, stream, redact(url), on_skip))
        if not UNTIMED_FORMATS.isdisjoint(container.format.name.split(",")):
            start = clock.now()
            for picture in pictures:
                yield Picture(picture.pixels, round((clock.now() - start) * 1e9))
        elif container.duration:
            yield from paced(pictures, clock)
        else:
            yield from pictures
