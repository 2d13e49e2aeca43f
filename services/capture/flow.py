"""Holds files at `pace = "fast"` to what the pipeline takes."""

import threading
import time
from collections.abc import Callable
from typing import Final

from emostream.shared.messages import Emotion, Message

# A frame that is not answered within these seconds was lost; the next one need not wait for it.
PATIENCE: Final = 2.0


class Flow:
    """Lets at most `window` frames of a stream be on their way to the classifier's answer.

    `run` is that of the frames; answers to another are none.
    With a window no larger than the stages' backlog nothing is thinned on the way. A stream whose
    frames are not answered goes on at one window each `PATIENCE` seconds, so that a file plays,
    slowly, also where no classifier runs.
    """

    def __init__(self, run: str, window: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._given: dict[str, int] = {}
        self._answered: dict[str, int] = {}
        self._moved: dict[str, float] = {}

    def gave(self, stream: str, seq: int) -> None:
        """Note that a frame was given."""
        with self._lock:
            self._given[stream] = seq
            self._moved.setdefault(stream, self._clock())

    def answered(self, message: Message) -> None:
        """Note an `emotion/` message."""
        header = message.header
        # An answer of an earlier start says nothing of this one's frames.
        if not isinstance(header, Emotion) or not header.is_data or header.run != self._run:
            return
        with self._lock:
            if header.seq > self._answered.get(header.stream, -1):
                self._answered[header.stream] = header.seq
                self._moved[header.stream] = self._clock()

    def holds(self, stream: str) -> bool:
        """Whether the stream's next frame has to wait."""
        with self._lock:
            waiting = self._given.get(stream, -1) - self._answered.get(stream, -1)
            if waiting < self._window:
                return False
            now = self._clock()
            if now - self._moved.get(stream, now) < PATIENCE:
                return True
            self._answered[stream] = self._given[stream]
            self._moved[stream] = now
            return False
