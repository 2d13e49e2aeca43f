"""Starts TensorFlow and LiteRT, with their threads set and their notices suppressed."""

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Lock, RLock, current_thread, main_thread
from types import ModuleType
from typing import IO

from emostream.shared.errors import ModelError

SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # otherwise the first process takes the whole GPU
}
# LiteRT writes this to file descriptor 2 once per process, with the first model.
LITERT_NOTICE = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
_starting = Lock()
# Two threads that redirect it at the same time would restore each other's files.
_redirecting = RLock()
_noticed = Event()


def import_tensorflow() -> ModuleType:
    """Return TensorFlow, imported without start-up notices; user settings have priority."""
    with _starting:
        return _tensorflow()


@functools.cache
def _tensorflow() -> ModuleType:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    with muted_stderr():
        import tensorflow

        tensorflow.config.list_physical_devices()
    return tensorflow  # type: ignore[no-any-return]


def use_threads(intra_op: int, inter_op: int = 1) -> None:
    """Set TensorFlow's threads per operation (`intra_op`) and parallel operations (`inter_op`).

    Raises ModelError if TensorFlow is already running with other numbers.
    """
    threading = import_tensorflow().config.threading
    try:
        threading.set_intra_op_parallelism_threads(intra_op)
        threading.set_inter_op_parallelism_threads(inter_op)
    except RuntimeError as error:
        raise ModelError(
            "TensorFlow is already running: set its threads before the process loads its first "
            "model"
        ) from error


@contextlib.contextmanager
def muted_stderr() -> Iterator[None]:
    """Discard output of C++ code on file descriptor 2, which no log level controls.

    Does nothing outside the main thread, because lines of other threads would be lost.
    """
    if current_thread() is not main_thread():
        yield
        return
    with Path(os.devnull).open("wb") as nowhere, _stderr_to(nowhere):
        yield


@contextlib.contextmanager
def without_litert_notice() -> Iterator[None]:
    """Remove LiteRT's start-up notice from stderr, on any thread.

    Other output to stderr is written at the end of the block. After the notice has appeared once,
    this does nothing.
    """
    with _redirecting:
        if not _noticed.is_set():
            with _memory_file() as written:
                try:
                    with _stderr_to(written):
                        yield
                finally:
                    _pass_on(written)
            return
    yield


def _memory_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")  # needs no writable folder
    return tempfile.TemporaryFile()


def _pass_on(written: IO[bytes]) -> None:
    """Write the content of the file to stderr, without the notice."""
    written.seek(0)
    content = written.read()
    if LITERT_NOTICE in content:
        _noticed.set()
    if rest := content.replace(LITERT_NOTICE, b""):
        os.write(2, rest)


@contextlib.contextmanager
def _stderr_to(file: IO[bytes]) -> Iterator[None]:
    """Redirect file descriptor 2 to `file`; do nothing if the process has no descriptor 2."""
    with _redirecting:
        try:
            kept = os.dup(2)
        except OSError:
            yield
            return
        if sys.stderr:
            sys.stderr.flush()
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
