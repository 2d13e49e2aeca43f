"""Observes the pipeline's output: when each stage last worked, and which frames were credited."""

import contextlib
import threading
import time
from collections.abc import Iterator

from emostream.shared.bus import Bus, Subscription
from emostream.shared.config import Config
from emostream.shared.messages import Credit, Emotion, Message


class Observer:
    """Remembers results and credits. Thread-safe.

    `answered` and `credited` are frames: stream, run and seq.
    """

    def __init__(self) -> None:
        self.answered: set[tuple[str, str, int]] = set()
        self.credited: set[tuple[str, str, int]] = set()
        self._taken: dict[str, int] = {}
        self._last = time.monotonic()
        self._longest = 0.0
        self._lock = threading.Lock()

    def see(self, message: Message) -> None:
        """Remember a message."""
        header, now = message.header, time.monotonic()
        with self._lock:
            for stage, (taken, _) in header.marks.items():
                self._taken[stage] = max(taken, self._taken.get(stage, 0))
            if isinstance(header, Emotion) and header.is_data:
                self.answered.add((header.stream, header.run, header.seq))
                self._longest = max(self._longest, now - self._last)
                self._last = now
            elif isinstance(header, Credit) and header.seq >= 0:
                self.credited.add((header.stream, header.run, header.seq))

    def has_worked_since(self, stage: str, moment: int) -> bool:
        """Whether there is a result of the stage's work since `moment` (ns since the epoch)."""
        with self._lock:
            return self._taken.get(stage, 0) > moment

    def longest_gap(self) -> float:
        """Return the longest time without a result, in s, since the last call."""
        with self._lock:
            longest = max(self._longest, time.monotonic() - self._last)
            self._longest = 0.0
            return longest


@contextlib.contextmanager
def observed(config: Config) -> Iterator[Observer]:
    """Yield an observer of the results and credits at these endpoints."""
    observer = Observer()
    subscriptions = [
        Subscription(config.connect.emotion, ["emotion/"], 0),
        Subscription(config.connect.credit, ["credit/"], 0),
    ]
    with Bus("chaos", security=config.security) as bus:
        receiver = bus.receiver(subscriptions, observer.see, lambda _: None)
        with contextlib.closing(receiver):
            yield observer
