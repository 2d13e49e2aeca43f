"""Reads one source on its own thread, supervises it, and reopens it when it is lost."""

import contextlib
import logging
import threading
import time
from collections import deque
from dataclasses import replace

from emostream.services.capture.backoff import Backoff
from emostream.services.capture.clock import OPEN_TIMEOUT, Clock
from emostream.services.capture.picture import Picture
from emostream.services.capture.pts import MonotonicPts, RecordingPts, SourcePts
from emostream.services.capture.source_reader import SourceReader, open_source
from emostream.services.capture.source_status import SourceStatus
from emostream.services.capture.source_url import awaited, source_kind
from emostream.shared import config
from emostream.shared.config.secrets import resolve
from emostream.shared.errors import SourceError, TemporaryFolderError
from emostream.shared.plural import counted
from emostream.shared.source_report import SourceState
from emostream.shared.source_urls import hide, redact

QUEUE_SIZE = 2
OPEN_DEADLINE = OPEN_TIMEOUT + 5.0  # probing a stream comes on top of connecting
# Threads that hang in a driver cannot be stopped; with this many, no further one is started.
MAX_STUCK_THREADS = 3
WARN_INTERVAL = 60.0
log = logging.getLogger("emostream")


class SourceThread:
    """One source, its thread and its queue of pictures.

    `changed` guards all fields, and is notified of every change. Raises ConfigError if the variable
    or file with the source's password is missing.
    """

    def __init__(
        self,
        settings: config.Source,
        changed: threading.Condition,
        clock: Clock,
        reader: SourceReader = open_source,
    ) -> None:
        self.name = settings.name
        self._settings, self._secrets = resolve(settings)
        self._clock, self._reader = clock, reader
        self._live, self._display_url = source_kind(self._settings.url).live, redact(settings.url)
        # A file at its own pace is treated as live input: it does not wait for the pipeline.
        self._blocks = settings.pace == "fast" and not self._live
        self._changed = changed
        self._queue: deque[Picture] = deque()
        self._pts: SourcePts = MonotonicPts() if self._live else RecordingPts()
        self._backoff = Backoff()
        self._state, self._error = SourceState.OPENING, ""
        self._pictures = self._dropped = self._skipped = self._reconnects = 0
        self._opening_at = self._last_picture = self._opened_at = clock.now()
        self._generation = 0
        self._restart_at: float | None = None
        self._threads: list[threading.Thread] = []
        self._last_warnings: dict[str, float] = {}
        self._no_room: TemporaryFolderError | None = None

    def start(self) -> None:
        """Start the reading thread."""
        self._generation += 1
        thread = threading.Thread(
            target=self._run, args=(self._generation,), name=f"source {self.name}", daemon=True
        )
        self._threads = [*(old for old in self._threads if old.is_alive()), thread]
        self._restart_at = None
        thread.start()

    def stop(self) -> None:
        """Stop delivering."""
        with self._changed:
            self._generation += 1
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for the thread, which may hang in a driver."""
        self._threads[-1].join(timeout)

    def pop(self) -> Picture | None:
        """Return the oldest waiting picture, if any."""
        with self._changed:
            self._changed.notify_all()
            return self._queue.popleft() if self._queue else None

    @property
    def has_picture(self) -> bool:
        """Whether a picture waits to be taken."""
        return bool(self._queue)

    @property
    def ended(self) -> bool:
        """Whether the last picture was delivered."""
        return self._state is SourceState.ENDED

    def status(self) -> SourceStatus:
        """Return the state and counts of the source."""
        with self._changed:
            return SourceStatus(
                state=self._state,
                error=self._error,
                reconnects=self._reconnects,
                pictures=self._pictures,
                dropped=self._dropped,
                skipped=self._skipped,
            )

    def supervise(self) -> None:
        """Replace a reader that hangs or crashed. Call this often.

        Raises TemporaryFolderError if a lossless file cannot be read for lack of disk space.
        """
        with self._changed:
            if self._no_room:
                raise self._no_room
            now = self._clock.now()
            if self._restart_at is not None:
                stuck = sum(thread.is_alive() for thread in self._threads)
                if now >= self._restart_at and stuck < MAX_STUCK_THREADS:
                    self.start()
            elif reason := self._failure(now):
                self._generation += 1
                if self._live:
                    self._restart_at = now + self._mark_lost(reason)
                else:
                    self._mark_ended(reason)

    def _failure(self, now: float) -> str:
        """Return why the reader must be replaced, empty if it need not."""
        if not self._is_active:
            return ""
        if not self._threads[-1].is_alive():
            return f"{self._display_url}: its reader crashed"
        limit = self._settings.freeze_after if self._state is SourceState.OPEN else OPEN_DEADLINE
        silent = now - max(self._opening_at, self._last_picture)
        if self._live and silent > limit:
            return f"{self._display_url}: no picture for {silent:.0f} s"
        return ""

    @property
    def _is_active(self) -> bool:
        return self._state in (SourceState.OPENING, SourceState.OPEN)

    def _run(self, generation: int) -> None:
        """Run the thread: read the source, repeatedly if it is live or loops."""
        delay = 0.0
        while not self._clock.wait(delay):
            reason = self._read_once(generation)
            with self._changed:
                if generation != self._generation or self._no_room:
                    return
                if self._live:
                    delay = self._mark_lost(reason or f"{self._display_url}: the stream ended")
                elif reason or not self._settings.loop:
                    self._mark_ended(reason)
                    return

    def _read_once(self, generation: int) -> str:
        """Queue the pictures of one opening; return why it failed, empty at a normal end."""
        self._mark_opening(generation)
        try:
            pictures = self._reader(self._settings, self._count_skip, self._clock)
            with contextlib.closing(pictures):
                for picture in pictures:
                    if not self._enqueue(picture, generation):
                        break
        except SourceError as error:
            return hide(str(error), self._secrets)
        except TemporaryFolderError as error:
            self._no_room = error if self._blocks else None
            return str(error)
        return ""

    def _enqueue(self, picture: Picture, generation: int) -> bool:
        """Queue the picture; return False if the reader was replaced."""
        with self._changed:
            while self._must_wait(generation):
                self._changed.wait()
            if generation != self._generation:
                return False
            now = self._clock.now()
            if self._state is not SourceState.OPEN:
                self._mark_open(now)
            self._last_picture = now
            self._pictures += 1
            if len(self._queue) >= QUEUE_SIZE:
                self._queue.popleft()
                self._dropped += 1
            pts = self._pts.next(picture.pts)
            self._queue.append(replace(picture, pts=pts, t=time.time_ns()))
            self._changed.notify_all()
            return True

    def _must_wait(self, generation: int) -> bool:
        full = len(self._queue) >= QUEUE_SIZE
        return self._blocks and full and generation == self._generation

    def _mark_open(self, now: float) -> None:
        if self._live and self._pictures:
            self._pts.reopen(now - self._last_picture)
            log.info("%s: pictures arrive again after %.1f s", self.name, now - self._last_picture)
        self._opened_at = now
        self._state, self._error = SourceState.OPEN, ""

    def _mark_opening(self, generation: int) -> None:
        with self._changed:
            if self._pictures and not self._live:
                self._pts.reopen(0.0)
            # The source stays ready when a loop restarts.
            loops = self._settings.loop and self._state is SourceState.OPEN
            if generation == self._generation and not loops:
                self._reconnects += self._state is SourceState.LOST
                self._state, self._opening_at = SourceState.OPENING, self._clock.now()
                self._error = self._error or awaited(self._settings.url)
                if self._error and not self._live:
                    log.info("%s: %s", self.name, self._error)

    def _mark_lost(self, reason: str) -> float:
        """Record that a live source is lost; return the seconds until the next attempt."""
        was_open = self._state is SourceState.OPEN
        delay = self._backoff.next(self._last_picture - self._opened_at if was_open else 0)
        self._state, self._error = SourceState.LOST, reason
        self._log_warning(reason, f"{reason}; trying again in {delay:g} s")
        return delay

    def _mark_ended(self, reason: str) -> None:
        self._state, self._error = SourceState.ENDED, reason
        level = logging.ERROR if reason else logging.INFO
        end = f"ended after {counted(self._pictures, 'picture')}"
        log.log(level, "%s: %s", self.name, reason or end)
        self._changed.notify_all()

    def _count_skip(self, reason: str) -> None:
        with self._changed:
            self._skipped += 1
            shown = hide(reason, self._secrets)
            self._log_warning("skipped" if self._live else shown, shown)

    def _log_warning(self, key: str, line: str) -> None:
        """Log the line, at most once per minute for the same key."""
        now = self._clock.now()
        if now - self._last_warnings.get(key, -WARN_INTERVAL) >= WARN_INTERVAL:
            self._last_warnings[key] = now
            log.warning("%s: %s", self.name, line)
