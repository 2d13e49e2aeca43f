"""Loading another model while one runs, which continues if the new one is bad."""

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from emostream.models.ray_pool.model import LiveModel
from emostream.shared.errors import EmostreamError

POLL_S = 1.0
log = logging.getLogger("emostream")

# When a file was changed, how large it is, and which one it is; None if there is none.
State: TypeAlias = tuple[int, int, int] | None


class ModelReloader:
    """Loads the model again, on its own thread, when `requested` is set or its files change.

    `load` returns a model that is ready to answer, or raises EmostreamError; then the running one
    continues, and `on_refused` is called. A change counts once the files have been the same in two
    checks, `poll` seconds apart, so that a half-written copy is seldom read; one that is read all
    the same is refused, and retried when it changes. Ends when `stop` is set.
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
        """Return the model to answer with from now on, None if that is the current one.

        Raises EmostreamError if the thread broke down, since no model would ever come again.
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
        """Whether no file of the model is missing, as between deleting it and writing it again."""
        return all(states[file] for file in self._model.files)

    def _reload(self) -> None:
        try:
            model = self._load()
        except EmostreamError as error:
            log.error("the new model is rejected, %s stays in use: %s", self._model.name, error)
            self._on_refused()
            return
        # A file that changed while it was loaded still counts as changed.
        self._tried = _states(model.files) | {
            file: state for file, state in self._tried.items() if file in _watched(model.files)
        }
        self._model = model
        with self._lock:
            self._ready = model


def _watched(files: Iterable[Path]) -> set[Path]:
    """Return the files with the checksums that may lie next to them."""
    return {path for file in files for path in (file, file.with_suffix(".sha256"))}


def _states(files: Iterable[Path]) -> dict[Path, State]:
    return {path: _state(path) for path in _watched(files)}


def _state(path: Path) -> State:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
