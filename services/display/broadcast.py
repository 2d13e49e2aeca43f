"""The way of the pictures to the page: encoded once for all viewers, and only when one looks."""

import time
from collections.abc import Callable

from emostream.services.display.audience import Audience
from emostream.services.display.metrics import DisplayMetrics
from emostream.services.display.packets import encode_picture, packet
from emostream.shared.blur import FaceBlur
from emostream.shared.control import StreamSwitch
from emostream.shared.join import Joined

# Frames whose results come late leave the join together; such a burst may pass.
BURST = 3.0


class Broadcast:
    """Offers each frame with its results to the audience, at most `max_fps` a second and stream.

    Faces are blurred in the pictures where `blur` is switched on.
    """

    def __init__(
        self,
        audience: Audience,
        metrics: DisplayMetrics,
        blur: StreamSwitch,
        quality: int = 80,
        max_fps: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._audience = audience
        self._metrics = metrics
        self._blur = FaceBlur(blur)
        self._quality = quality
        self._max_fps = max_fps
        self._clock = clock
        self._paces: dict[str, _Pace] = {}
        self._last: dict[str, Joined] = {}
        # The streams whose last picture was offered with blurred faces.
        self._blurred: set[str] = set()

    def show(self, joined: Joined) -> None:
        """Offer the frame if anybody can take it; raise MessageError for a broken picture."""
        stream = joined.frame.header.stream
        self._blur.observe(joined)
        self._last[stream] = joined
        pace = self._paces.setdefault(stream, _Pace(self._max_fps))
        if self._audience.wants(stream) and pace.allows(self._clock()):
            self._offer(joined)

    def idle(self) -> None:
        """Show the last picture of each stream to who came after it, be the stream silent since.

        And again to everybody when faces are to be blurred in it, or no longer.
        """
        for stream, joined in self._last.items():
            switched = self._blur.switch.is_on(stream) != (stream in self._blurred)
            if switched or self._audience.lacks(stream):
                self._offer(joined)

    def _offer(self, joined: Joined) -> None:
        stream = joined.frame.header.stream
        (self._blurred.add if self._blur.switch.is_on(stream) else self._blurred.discard)(stream)
        with self._metrics.encode_seconds.time():
            jpeg = encode_picture(joined, self._quality, self._blur)
        self._audience.offer(stream, packet(joined, jpeg))


class _Pace:
    """Lets `rate` a second through on average, and short bursts."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = BURST
        self._at = 0.0

    def allows(self, now: float) -> bool:
        self._left = min(BURST, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
