"""Flow control for files with `pace = "fast"`: they are read as fast as the pipeline answers."""

import threading
import time
from collections.abc import Callable
from typing import Final

from emostream.shared.messages import Emotion, Message

# Seconds; a frame that is not answered within this time counts as lost and does not hold up others.
ANSWER_TIMEOUT: Final = 2.0


class FlowControl:
    """Limits the published frames of a stream without an answer from the classifier to `window`.

    Only answers to frames of `run` count. If the window is no larger than the stages' backlog, no
    frames are dropped. A stream without answers continues with one window every `ANSWER_TIMEOUT`
    seconds, so that a file plays, slowly, even without a classifier.
    """

    def __init__(self, run: str, window: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._published: dict[str, int] = {}
        self._answered: dict[str, int] = {}
        self._answered_parts: dict[tuple[str, int], int] = {}
        self._progressed_at: dict[str, float] = {}

    def record_published(self, stream: str, seq: int) -> None:
        """Record that a frame is published. Call this before its answer can arrive."""
        with self._lock:
            self._published[stream] = seq
            self._progressed_at.setdefault(stream, self._clock())

    def record_answer(self, message: Message) -> None:
        """Record an `emotion/` message; a frame is answered when all its parts have arrived."""
        header = message.header
        # An answer to an earlier start says nothing about this one's frames.
        if not isinstance(header, Emotion) or not header.is_data or header.run != self._run:
            return
        with self._lock:
            published = self._published.get(header.stream, -1)
            # Nobody can answer a frame before it is published.
            if header.seq > published:
                return
            key = header.stream, header.part
            self._answered_parts[key] = max(header.seq, self._answered_parts.get(key, -1))
            parts = [(header.stream, part) for part in range(header.parts)]
            answered = min(self._answered_parts.get(part, -1) for part in parts)
            if answered > self._answered.get(header.stream, -1):
                self._answered[header.stream] = answered
                self._progressed_at[header.stream] = self._clock()

    def must_wait(self, stream: str) -> bool:
        """Whether the stream's next frame must wait."""
        with self._lock:
            unanswered = self._published.get(stream, -1) - self._answered.get(stream, -1)
            if unanswered < self._window:
                return False
            now = self._clock()
            if now - self._progressed_at.get(stream, now) < ANSWER_TIMEOUT:
                return True
            self._answered[stream] = self._published[stream]
            self._progressed_at[stream] = now
            return False
