"""The pixel aspect ratio of a video."""

from fractions import Fraction
from typing import Final

from av.video.stream import VideoStream

SQUARE: Final = Fraction(1)
# Video has pixel aspects of 1:2 to 2:1; values far beyond that come from damaged files.
WIDEST: Final = 8


class PixelAspect:
    """The current pixel aspect of a video: pixel width divided by height.

    If container and pictures differ, the container has priority.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._context = stream.codec_context
        declared = stream.sample_aspect_ratio
        self._declared = declared if declared != self._context.sample_aspect_ratio else None

    def current(self, *, turned: bool) -> Fraction:
        """Return the aspect of the last decoded picture; `turned` swaps width and height."""
        aspect = self._declared or self._context.sample_aspect_ratio or SQUARE
        if not 1 / WIDEST <= aspect <= WIDEST:
            return SQUARE
        return 1 / aspect if turned else aspect
