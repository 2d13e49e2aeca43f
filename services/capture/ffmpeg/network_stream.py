"""Reads network streams: RTSP, HTTP and other protocols of FFmpeg."""

import contextlib
from collections.abc import Iterator

from av.container import InputContainer
from av.video.stream import VideoStream

from emostream.services.capture.clock import OPEN_TIMEOUT, Clock
from emostream.services.capture.ffmpeg.allocation_limit import limit_allocations
from emostream.services.capture.ffmpeg.container import open_container
from emostream.services.capture.ffmpeg.decoder import VideoDecoder
from emostream.services.capture.pace import paced
from emostream.services.capture.picture import OnSkip, Picture, Pictures
from emostream.services.capture.source_url import unresolved_host
from emostream.shared.errors import SourceError
from emostream.shared.source_urls import redact

# Each stream of a container may have a packet of the maximum size.
MAX_STREAMS = 32
# Formats without timestamps, for which FFmpeg would assume 25 fps.
UNTIMED_FORMATS = {"mpjpeg", "mjpeg"}


def network_pictures(url: str, timeout: float, on_skip: OnSkip, clock: Clock) -> Pictures:
    """Read a network stream until it ends or delivers nothing for `timeout` seconds.

    A recording, which declares its length, is read at its own pace. A stream without timestamps
    gets arrival times. Raises SourceError, without the URL's secrets, if it cannot be opened or
    read.
    """
    options = {"max_streams": str(MAX_STREAMS)}
    if url.lower().startswith("rtsp"):
        options["rtsp_transport"] = "tcp"
    with _opened(url, timeout, options) as (container, stream):
        decoder = VideoDecoder(container, stream, redact(url), on_skip)
        pictures = iter(decoder)
        if not UNTIMED_FORMATS.isdisjoint(container.format.name.split(",")):
            start = clock.now()
            for picture in pictures:
                yield Picture(picture.pixels, round((clock.now() - start) * 1e9))
        elif container.duration:
            yield from paced(pictures, clock)
            decoder.check_complete()
        else:
            yield from pictures


@contextlib.contextmanager
def _opened(
    url: str, timeout: float, options: dict[str, str]
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the URL, with a specific error for an unknown host name."""
    is_open = False
    limit_allocations()
    try:
        with open_container(url, redact(url), (OPEN_TIMEOUT, timeout), options) as found:
            is_open = True
            yield found
    except SourceError as error:
        # FFmpeg reports this as an input/output error.
        if is_open or not (host := unresolved_host(url)):
            raise
        raise SourceError(
            f"{redact(url)}: waiting for the host name {host} to resolve (DNS knows no such host)"
        ) from error
