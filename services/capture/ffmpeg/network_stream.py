"""Reads streams from the network: RTSP, HTTP and what else FFmpeg takes."""

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

# Each stream of a container may hold the largest packet.
MAX_STREAMS = 32
# Formats that carry no timestamps: FFmpeg would invent them at 25 a second.
UNTIMED_FORMATS = {"mpjpeg", "mjpeg"}


def network_pictures(url: str, timeout: float, on_skip: OnSkip, clock: Clock) -> Pictures:
    """Read a stream from the network until it ends or gives nothing for `timeout` seconds.

    A recording, which says how long it is, comes at its own pace; a stream that carries no times
    gets those of its arrival. Raises SourceError, without the URL's secrets, where it cannot be
    opened or read.
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
    """Open the URL; where its host name is what is wrong, the error says so."""
    is_open = False
    limit_allocations()
    try:
        with open_container(url, redact(url), (OPEN_TIMEOUT, timeout), options) as found:
            is_open = True
            yield found
    except SourceError as error:
        # FFmpeg calls that an error of input and output.
        if is_open or not (host := unresolved_host(url)):
            raise
        raise SourceError(
            f"{redact(url)}: waiting for the host name {host} to resolve (DNS knows no such host)"
        ) from error
