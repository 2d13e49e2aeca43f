"""Starts TensorFlow and LiteRT: their threads, and their notices kept off the terminal."""

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
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # else the first process takes the whole GPU
}
# LiteRT writes it to file descriptor 2 once in a process, when its first model is made ready.
LITERT_NOTICE = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
_starting = Lock()
# Two threads that redirect it at a time would restore each other's files.
_redirecting = RLock()
_noticed = Event()


def import_tensorflow() -> ModuleType:
    """Return TensorFlow, imported without its start-up notices; what the user has set wins."""
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
    """Let TensorFlow compute one operation on `intra_op` threads, and `inter_op` at a time.

    ModelError if TensorFlow already works with other numbers.
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
    """Send what C++ writes to file descriptor 2 nowhere: no log level reaches those notices.

    Next to the main thread nothing is muted, since the lines of the others would be lost.
    """
    if current_thread() is not main_thread():
        yield
        return
    with Path(os.devnull).open("wb") as nowhere, _stderr_to(nowhere):
        yield


@contextlib.contextmanager
def without_litert_notice() -> Iterator[None]:
    """Drop LiteRT's start-up notice from stderr, on any thread.

    What else is written to stderr meanwhile follows at the end. Once the notice has come, this does
    nothing.
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
        return os.fdopen(os.memfd_create("stderr"), "w+b")  # needs no folder to write to
    return tempfile.TemporaryFile()


def _pass_on(written: IO[bytes]) -> None:
    """Write to stderr what the file holds, without the notice."""
    written.seek(0)
    content = written.read()
    if LITERT_NOTICE in content:
        _noticed.set()
    if rest := content.replace(LITERT_NOTICE, b""):
        os.write(2, rest)


@contextlib.contextmanager
def _stderr_to(file: IO[bytes]) -> Iterator[None]:
    """Let file descriptor 2 be `file`; where the process was started without one, do nothing."""
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
