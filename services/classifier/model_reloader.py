"""Replaces the model at run time; the current one stays in use if the new one is bad."""

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from emostream.models.ray_pool.model import LiveModel
from emostream.shared.errors import EmostreamError

POLL_S = 1.0
log = logging.getLogger("emostream")

# A file's modification time, size and inode; None if there is no file.
State: TypeAlias = tuple[int, int, int] | None


class ModelReloader:
    """Reloads the model, on a separate thread, when `requested` is set or its files change.

    `load` returns a model that is ready to answer, or raises EmostreamError; in that case the
    current model stays in use, and `on_refused` is called. A change counts when the files were
    identical in two checks, `poll` seconds apart, so that a partial copy is rarely read. If one is
    read anyway, it is refused, and retried when it changes. Ends when `stop` is set.
    """

    def __init__(
        self,
        model: LiveModel,
        load: Callable[[], LiveModel],
        on_refused: Callable[[], None],
        requested: threading.Event,
        stop: threading.Event,
        poll: float = POLL_S,
    ) -> None:
        self._model = model
        self._load = load
        self._on_refused = on_refused
        self._requested = requested
        self._stop = stop
        self._poll = poll
        self._ready: LiveModel | None = None
        self._lock = threading.Lock()
        self._tried = _states(model.files)
        self._thread = threading.Thread(target=self._watch, name="model", daemon=True)
        self._thread.start()

    def take(self) -> LiveModel | None:
        """Return a new model to switch to, None if there is none.

        Raises EmostreamError if the thread crashed, because no model would ever be loaded again.
        """
        if not (self._thread.is_alive() or self._stop.is_set()):
            raise EmostreamError("classifier: the thread that loads models crashed")
        with self._lock:
            ready, self._ready = self._ready, None
        return ready

    def _watch(self) -> None:
        before = self._tried
        while not self._stop.is_set():
            requested = self._requested.wait(self._poll)
            self._requested.clear()
            now = _states(self._model.files)
            if requested or (now != self._tried and now == before and self._is_whole(now)):
                self._tried = now
                self._reload()
            before = now

    def _is_whole(self, states: dict[Path, State]) -> bool:
        """Whether all files of the model exist; one may be missing while it is replaced."""
        return all(states[file] for file in self._model.files)

    def _reload(self) -> None:
        try:
            model = self._load()
        except EmostreamError as error:
            log.error("the new model is rejected, %s stays in use: %s", self._model.name, error)
            self._on_refused()
            return
        # A file that changes while it is loaded still counts as changed.
        self._tried = _states(model.files) | {
            file: state for file, state in self._tried.items() if file in _watched(model.files)
        }
        self._model = model
        with self._lock:
            self._ready = model


def _watched(files: Iterable[Path]) -> set[Path]:
    """Return the files and the checksum files that may exist next to them."""
    return {path for file in files for path in (file, file.with_suffix(".sha256"))}


def _states(files: Iterable[Path]) -> dict[Path, State]:
    return {path: _state(path) for path in _watched(files)}


def _state(path: Path) -> State:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
