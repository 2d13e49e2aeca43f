"""How wide a video's pixels are for their height."""

from fractions import Fraction
from typing import Final

from av.video.stream import VideoStream

SQUARE: Final = Fraction(1)
# Video has pixels of 1:2 to 2:1; what is far beyond that is damage.
WIDEST: Final = 8


class PixelAspect:
    """The width of a video's pixels by their height, as the decoder has it at the moment.

    What the container says counts, where it says something else than the pictures.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._context = stream.codec_context
        declared = stream.sample_aspect_ratio
        self._declared = declared if declared != self._context.sample_aspect_ratio else None

    def current(self, *, turned: bool) -> Fraction:
        """Return that of the picture decoded last; `turned` by a quarter, width is height."""
        aspect = self._declared or self._context.sample_aspect_ratio or SQUARE
        if not 1 / WIDEST <= aspect <= WIDEST:
            return SQUARE
        return 1 / aspect if turned else aspect
