"""One source of pictures on a thread of its own: opened, watched, and opened again when lost."""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from emostream.services.capture.address import kind_of, redact
from emostream.services.capture.files.video import OPEN_TIMEOUT, Skipped
from emostream.services.capture.pace import Backoff, Clock, Pictures, Timeline
from emostream.services.capture.picture import Picture
from emostream.services.capture.readers import read
from emostream.shared import config
from emostream.shared.errors import SourceError

Reader: TypeAlias = Callable[[config.Source, Skipped, Clock], Pictures]

DEPTH = 2
OPEN_WITHIN = OPEN_TIMEOUT + 5.0  # finding out what a stream holds comes on top of connecting
# Threads that hang in a driver cannot be ended; with this many, no further one is risked.
MOST_STUCK = 3
WARN_INTERVAL = 60.0
log = logging.getLogger("emostream")


class State(StrEnum):
    """Where a source stands."""

    OPENING = "opening"
    OPEN = "open"
    LOST = "lost"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Status:
    """What the owner of a source may know of it.

    `error` says why it is lost or ended, empty while all is well; `silent` is the seconds since the
    last picture, or since the start; `dropped` counts pictures that were replaced by newer ones
    before they were taken, `skipped` those that could not be decoded.
    """

    state: State
    error: str
    reconnects: int
    pictures: int
    dropped: int
    skipped: int
    silent: float

    @property
    def ready(self) -> bool:
        """Whether pictures flow, or all have been given."""
        return self.state is State.OPEN or (self.state is State.ENDED and not self.error)

    def __str__(self) -> str:
        return f"{self.state}: {self.error}" if self.error else self.state


class Source:
    """One source, its thread and its waiting pictures; `arrived` guards it all."""

    def __init__(
        self,
        settings: config.Source,
        arrived: threading.Condition,
        clock: Clock,
        reader: Reader = read,
    ) -> None:
        self.name = settings.name
        self._settings, self._clock, self._reader = settings, clock, reader
        self._live, self._shown = kind_of(settings.url).live, redact(settings.url)
        # A file at its own pace is treated as live input: it does not wait for the pipeline.
        self._blocks = settings.pace == "fast" and not self._live
        self._arrived = arrived
        self._waiting: deque[Picture] = deque()
        self._timeline, self._backoff = Timeline(), Backoff()
        self._state, self._error = State.OPENING, ""
        self._pictures = self._dropped = self._skipped = self._reconnects = 0
        self._since = self._last = self._first = clock.now()
        self._life = 0
        self._restart_at: float | None = None
        self._threads: list[threading.Thread] = []
        self._warned: dict[str, float] = {}

    def start(self) -> None:
        """Start the thread that reads."""
        self._life += 1
        thread = threading.Thread(
            target=self._work, args=(self._life,), name=f"source {self.name}", daemon=True
        )
        self._threads = [*(old for old in self._threads if old.is_alive()), thread]
        self._restart_at = None
        thread.start()

    def stop(self) -> None:
        """Deliver nothing more."""
        with self._arrived:
            self._life += 1
            self._arrived.notify_all()

    def join(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for the thread, which may hang in a driver."""
        self._threads[-1].join(timeout)

    def pop(self) -> Picture | None:
        """Return the oldest waiting picture, if any."""
        with self._arrived:
            self._arrived.notify_all()
            return self._waiting.popleft() if self._waiting else None

    @property
    def waits(self) -> bool:
        """Whether a picture waits to be taken."""
        return bool(self._waiting)

    @property
    def ended(self) -> bool:
        """Whether the last picture was given."""
        return self._state is State.ENDED

    def status(self) -> Status:
        """Return where the source stands."""
        with self._arrived:
            return Status(
                state=self._state,
                error=self._error,
                reconnects=self._reconnects,
                pictures=self._pictures,
                dropped=self._dropped,
                skipped=self._skipped,
                silent=self._clock.now() - self._last,
            )

    def watch(self) -> None:
        """Notice a reader that hangs or broke, and replace it; to be called often."""
        with self._arrived:
            now = self._clock.now()
            if self._restart_at is not None:
                stuck = sum(thread.is_alive() for thread in self._threads)
                if now >= self._restart_at and stuck < MOST_STUCK:
                    self.start()
            elif reason := self._stalled(now):
                self._life += 1
                if self._live:
                    self._restart_at = now + self._lose(reason)
                else:
                    self._end(reason)

    def _stalled(self, now: float) -> str:
        """Why the reader must be given up, empty if it need not."""
        if self._state in (State.OPENING, State.OPEN) and not self._threads[-1].is_alive():
            return f"{self._shown}: its reader broke down"
        limit = self._settings.freeze_after if self._state is State.OPEN else OPEN_WITHIN
        silent = now - max(self._since, self._last)
        if self._live and self._state in (State.OPENING, State.OPEN) and silent > limit:
            return f"{self._shown}: no picture for {silent:.0f} s"
        return ""

    def _work(self, life: int) -> None:
        """The thread: read the source, again and again where it is live or loops."""
        delay = 0.0
        while not self._clock.wait(delay):
            reason = self._play(life)
            with self._arrived:
                if life != self._life:
                    return
                if self._live:
                    delay = self._lose(reason or f"{self._shown}: the stream ended")
                elif reason or not self._settings.loop:
                    self._end(reason)
                    return

    def _play(self, life: int) -> str:
        """Deliver one reading of the source; return why it broke off, empty at its natural end."""
        self._opening(life)
        try:
            reading = self._reader(self._settings, self._skip, self._clock)
            with contextlib.closing(reading):
                for picture in reading:
                    if not self._deliver(picture, life):
                        break
        except SourceError as error:
            return str(error)
        return ""

    def _deliver(self, picture: Picture, life: int) -> bool:
        """Let the picture wait for its taker; False when the reader has been given up."""
        with self._arrived:
            while self._blocks and len(self._waiting) >= DEPTH and life == self._life:
                self._arrived.wait()
            if life != self._life:
                return False
            now = self._clock.now()
            if self._state is not State.OPEN:
                self._open(now)
            self._last = now
            self._pictures += 1
            if len(self._waiting) >= DEPTH:
                self._waiting.popleft()
                self._dropped += 1
            pts = self._timeline.at(picture.pts)
            self._waiting.append(Picture(picture.pixels, pts, time.time_ns()))
            self._arrived.notify_all()
            return True

    def _open(self, now: float) -> None:
        if self._live and self._pictures:
            self._timeline.pause(now - self._last)
            log.info("%s: pictures again after %.1f s", self.name, now - self._last)
        self._first = now
        self._state, self._error = State.OPEN, ""

    def _opening(self, life: int) -> None:
        with self._arrived:
            # A reading that follows on another's end is no news for readiness.
            if life == self._life and not (self._settings.loop and self._state is State.OPEN):
                self._reconnects += self._state is State.LOST
                self._state, self._since = State.OPENING, self._clock.now()

    def _lose(self, reason: str) -> float:
        """Note that a live source is lost; return the seconds after which to try again."""
        delay = self._backoff.next(self._last - self._first if self._state is State.OPEN else 0)
        self._state, self._error = State.LOST, reason
        self._warn(reason, f"{reason}; trying again in {delay:g} s")
        return delay

    def _end(self, reason: str) -> None:
        self._state, self._error = State.ENDED, reason
        level = logging.ERROR if reason else logging.INFO
        log.log(level, "%s: %s", self.name, reason or f"the end, after {self._pictures} pictures")
        self._arrived.notify_all()

    def _skip(self, reason: str) -> None:
        with self._arrived:
            self._skipped += 1
            self._warn("skipped" if self._live else reason, reason)

    def _warn(self, key: str, line: str) -> None:
        """Log the line, and a line of the same key once a minute at most."""
        now = self._clock.now()
        if now - self._warned.get(key, -WARN_INTERVAL) >= WARN_INTERVAL:
            self._warned[key] = now
            log.warning("%s: %s", self.name, line)
