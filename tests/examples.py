"""The clients of docs/examples as processes, and what they print."""

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import require_tool, take_sigint

FOLDER = Path(__file__).parents[1] / "docs" / "examples"
CLIENTS = ("subscribe.py", "subscribe_async.py", "subscribe.mjs")
# The clients as a test runs them: npm fetches the packages of the one for Node.
RUNNING = [
    pytest.param(name, marks=pytest.mark.heavy) if name.endswith(".mjs") else name
    for name in CLIENTS
]
OLDEST_NODE = 18
INSTALL_WITHIN_S = 90


class Client:
    """A client that runs, its output in files."""

    def __init__(self, words: list[str], folder: Path) -> None:
        self._files = folder / "out.txt", folder / "err.txt"
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            self.process = subprocess.Popen(
                words, cwd=folder, stdout=out, stderr=err, preexec_fn=take_sigint
            )

    @property
    def lines(self) -> list[str]:
        """What it printed so far, in whole lines."""
        *whole, _ = self._files[0].read_text("utf-8").split("\n")
        return whole

    @property
    def complaints(self) -> str:
        """What it wrote to stderr."""
        return self._files[1].read_text("utf-8")


@contextmanager
def client(name: str, endpoint: str, folder: Path) -> Iterator[Client]:
    """Run a client of docs/examples on the endpoint, as a user does, until the context is left."""
    run = (
        [_node(), str(FOLDER / name)] if name.endswith(".mjs") else [sys.executable, FOLDER / name]
    )
    started = Client([*map(str, run), endpoint], folder)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()


def _node() -> str:
    """Return Node, with the client's packages installed.

    Where they are not to be had the test skips; on CI, which has them, it fails.
    """
    node, npm = require_tool("node"), require_tool("npm")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip().removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        _give_up(f"node is {version.strip()}, the client needs {OLDEST_NODE} or later")
    lock, installed = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    stale = not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime
    if stale and (failure := _install(npm)):
        _give_up(failure)
    return node


@functools.cache
def _install(npm: str) -> str:
    """Install the packages of the lock file; return why that failed, or "". It is tried once."""
    # The binaries come inside the packages: there is nothing to build.
    words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    # Without a network npm would try for more than a minute.
    words += ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=3000"]
    try:
        done = subprocess.run(
            words, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"npm ci took longer than {INSTALL_WITHIN_S} s (no network?)"
    said, _, _ = done.stderr.strip().partition("\n")
    return f"npm ci failed: {said}" if done.returncode else ""


def _give_up(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
