"""Starts TensorFlow and LiteRT: their threads, and their notices kept off the terminal."""

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from threading import Lock, current_thread, main_thread
from types import ModuleType

from emostream.shared.errors import ModelError

SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # else the first process takes the whole GPU
}
_starting = Lock()


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

    ModelError where TensorFlow already works with other numbers.
    """
    threading = import_tensorflow().config.threading
    try:
        threading.set_intra_op_parallelism_threads(intra_op)
        threading.set_inter_op_parallelism_threads(inter_op)
    except RuntimeError as error:
        raise ModelError(
            "TensorFlow runs already: set its threads before the first model of the process"
        ) from error


@contextlib.contextmanager
def muted_stderr() -> Iterator[None]:
    """Send what C++ writes to file descriptor 2 nowhere: no log level reaches those notices.

    Beside the main thread nothing is muted, since the lines of the others would be lost.
    """
    if current_thread() is not main_thread():
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
