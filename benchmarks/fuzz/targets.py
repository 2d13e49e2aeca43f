"""The fuzzing targets: each takes bytes, and raises if they cause forbidden behavior."""

import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.http_target import HTTP_SEEDS, call_http
from benchmarks.fuzz.message_target import decode_message, message_seeds
from emostream.models.spec import load_spec
from emostream.models.weights import checksums
from emostream.services.cli.analysis import run_file
from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.processes.config_file import write_config
from emostream.shared.address_file import read_addresses
from emostream.shared.config import load
from emostream.shared.errors import ConfigError, EmostreamError
from emostream.shared.secret_file import read_secret
from emostream.shared.shipped_files import CONFIGS

# Separates the configuration file from `--set`.
SETTING = b"\0"


@dataclass(frozen=True)
class Target:
    """A function of bytes, and its seeds, the initial inputs."""

    call: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]


@functools.cache
def _folder() -> Path:
    """Return a folder for small files, in memory if available."""
    memory = Path("/dev/shm")
    made = tempfile.mkdtemp(prefix="emostream-fuzz-", dir=memory if memory.is_dir() else None)
    return Path(made)


def load_configuration(data: bytes) -> None:
    """Load a configuration: it must be refused, or survive writing and loading again."""
    text, *settings = data.split(SETTING)
    path = _folder() / f"{os.getpid()}.toml"
    path.write_bytes(text)
    try:
        config = load(path, [setting.decode("utf-8", "replace") for setting in settings[:4]])
    except ConfigError as error:
        _check_line(error)
        return
    write_config(config, path)
    assert load(path) == config


def read_side_file(data: bytes) -> None:
    """Read a side file of a model, a recording or a process, selected by the first byte.

    The result must have the right types, or be refused.
    """
    folder = _folder() / str(os.getpid())
    folder.mkdir(exist_ok=True)
    readers: list[tuple[str, Callable[[], object]]] = [
        ("model.toml", lambda: load_spec(folder / "model.toml").shape),
        ("model.sha256", lambda: checksums(folder / "model.tflite")),
        (run_file.NAME, lambda: RunFile.read(folder).write(folder)),
        ("stage.json", lambda: read_addresses(folder / "stage.json")),
        ("token", lambda: read_secret(folder / "token", "display.token_file")),
    ]
    name, read = readers[data[0] % len(readers) if data else 0]
    (folder / name).write_bytes(data[1:])
    try:
        read()
    except EmostreamError as error:
        _check_line(error)


def _check_line(error: EmostreamError) -> None:
    text = str(error)
    assert text, "an error without a word"
    assert len(text.splitlines()) == 1, f"more than one line: {text!r}"


def _configuration_seeds() -> Iterator[bytes]:
    for path in sorted(CONFIGS.glob("*.toml")):
        yield path.read_bytes()
    yield b"live.max_streams = 3" + SETTING + b"detector.backend=haar" + SETTING + b"blur=true"


def _side_file_seeds() -> Iterator[bytes]:
    yield b"\0" + b'labels = ["a", "b"]\nscaling = "0..1"\nsize = [48, 48]\nlayout = "nhw"\n'
    yield b"\1" + b"0" * 64 + b"  model.tflite\n"
    yield (
        b'\2{"run": "r", "stream": "s", "input": {"path": "/x", "sha256": "a"}, "model": {},'
        b' "config": {}, "status": "complete", "stages": {"capture": {"frames": 1}}}'
    )
    yield b'\3{"metrics": "http://127.0.0.1:1/metrics", "endpoints": ["tcp://127.0.0.1:2"]}'
    yield b"\4secret\n"


TARGETS = {
    "decode": Target(decode_message, message_seeds),
    "configuration": Target(load_configuration, _configuration_seeds),
    "side-files": Target(read_side_file, _side_file_seeds),
    "http": Target(call_http, lambda: iter(HTTP_SEEDS)),
}
