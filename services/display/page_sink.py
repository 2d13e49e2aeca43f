"""The sink of frames for the page: encoded once for all viewers, and only if one has capacity."""

import time
from collections.abc import Callable, Sequence

from emostream.services.display.box_motion import BoxMotion
from emostream.services.display.metrics import DisplayMetrics
from emostream.services.display.picture_encoding import picture_packet
from emostream.services.display.viewers import ViewerPool
from emostream.shared.blur import FaceBlur
from emostream.shared.control import StreamSwitch
from emostream.shared.join import Joined
from emostream.shared.messages import EmotionFace

# Frames whose results come late leave the join together; such a burst may pass.
MAX_BURST = 3.0


class PageSink:
    """Offers each frame with its results to the viewers, at most `max_fps` a second and stream.

    Faces are blurred in the pictures where `blur` is switched on.
    """

    def __init__(
        self,
        viewers: ViewerPool,
        metrics: DisplayMetrics,
        blur: StreamSwitch,
        quality: int = 80,
        max_fps: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._viewers = viewers
        self._metrics = metrics
        self._blur = FaceBlur(blur)
        self._quality = quality
        self._max_fps = max_fps
        self._clock = clock
        self._limiters: dict[str, _RateLimiter] = {}
        self._motions: dict[str, BoxMotion] = {}
        # The last picture of each stream, and the faces that were kept in it.
        self._last: dict[str, tuple[Joined, tuple[EmotionFace, ...]]] = {}
        # The streams whose last picture was offered with blurred faces.
        self._blurred: set[str] = set()

    def show(self, joined: Joined) -> None:
        """Offer the frame if anybody can take it; raise MessageError for a broken picture."""
        stream = joined.frame.header.stream
        self._blur.observe(joined)
        kept = self._motions.setdefault(stream, BoxMotion()).observe(joined)
        self._last[stream] = joined, kept
        limiter = self._limiters.setdefault(stream, _RateLimiter(self._max_fps))
        if self._viewers.has_capacity(stream) and limiter.allows(self._clock()):
            self._offer(joined, kept)

    def forget(self, stream: str) -> None:
        """Forget the stream's last picture, also those that wait for viewers."""
        self._blur.forget(stream)
        self._viewers.forget(stream)
        self._limiters.pop(stream, None)
        self._motions.pop(stream, None)
        self._last.pop(stream, None)
        self._blurred.discard(stream)

    def idle(self) -> None:
        """Offer each stream's last picture to new viewers, even if the stream is silent since.

        And again to everybody when its blur was switched.
        """
        for stream, (joined, kept) in self._last.items():
            switched = self._blur.switch.is_on(stream) != (stream in self._blurred)
            if switched or self._viewers.lacks_picture(stream):
                self._offer(joined, kept)

    def _offer(self, joined: Joined, kept: Sequence[EmotionFace]) -> None:
        # Imported here: until somebody looks, OpenCV's memory and the time to load it are saved.
        from emostream.services.display.jpeg_encoding import encode_jpeg

        stream = joined.frame.header.stream
        (self._blurred.add if self._blur.switch.is_on(stream) else self._blurred.discard)(stream)
        with self._metrics.encode_seconds.time():
            jpeg = encode_jpeg(joined, self._quality, self._blur)
        self._viewers.offer(stream, picture_packet(joined, jpeg, self._blur, kept))


class _RateLimiter:
    """Lets `rate` a second through on average, and short bursts (a token bucket)."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = MAX_BURST
        self._at = 0.0

    def allows(self, now: float) -> bool:
        self._tokens = min(MAX_BURST, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
