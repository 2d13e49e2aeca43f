"""The page's sink for frames, encoded once for all viewers, and only if one has capacity."""

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

# Frames with late results leave the join together; such a burst is allowed.
MAX_BURST = 3.0


class PageSink:
    """Offers each frame with its results to the viewers, at most `max_fps` per stream.

    Faces are blurred in the pictures if `blur` is on.
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
        # The last picture of each stream, and the faces kept in it.
        self._last: dict[str, tuple[Joined, tuple[EmotionFace, ...]]] = {}
        # The streams whose last picture was offered blurred.
        self._blurred: set[str] = set()

    def show(self, joined: Joined) -> None:
        """Offer the frame if a viewer has capacity; raise MessageError for a broken picture."""
        stream = joined.frame.header.stream
        self._blur.observe(joined)
        kept = self._motions.setdefault(stream, BoxMotion()).observe(joined)
        self._last[stream] = joined, kept
        limiter = self._limiters.setdefault(stream, _RateLimiter(self._max_fps))
        if self._viewers.has_capacity(stream) and limiter.allows(self._clock()):
            self._offer(joined, kept)

    def forget(self, stream: str) -> None:
        """Forget the stream's last picture, including those waiting for viewers."""
        self._blur.forget(stream)
        self._viewers.forget(stream)
        self._limiters.pop(stream, None)
        self._motions.pop(stream, None)
        self._last.pop(stream, None)
        self._blurred.discard(stream)

    def idle(self) -> None:
        """Offer each stream's last picture to new viewers, even if the stream is silent.

        Offer it to all viewers again after its blur was switched.
        """
        for stream, (joined, kept) in self._last.items():
            switched = self._blur.switch.is_on(stream) != (stream in self._blurred)
            if switched or self._viewers.lacks_picture(stream):
                self._offer(joined, kept)

    def _offer(self, joined: Joined, kept: Sequence[EmotionFace]) -> None:
        # Imported here, so that OpenCV is loaded only when there is a viewer.
        from emostream.services.display.jpeg_encoding import encode_jpeg

        stream = joined.frame.header.stream
        (self._blurred.add if self._blur.switch.is_on(stream) else self._blurred.discard)(stream)
        with self._metrics.encode_seconds.time():
            jpeg = encode_jpeg(joined, self._quality, self._blur)
        self._viewers.offer(stream, picture_packet(joined, jpeg, self._blur, kept))


class _RateLimiter:
    """A token bucket: lets `rate` per second through on average, and short bursts."""

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
