"""Real processes for the tests: the whole pipeline, started once for the tests that only watch."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from benchmarks.thin_link.namespaces import ThinLink
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.shared.config import load
from emostream.shared.shipped_files import ROOT
from tests.conftest import require_tool

DEFAULT = ROOT / "configs" / "default.toml"


def wait_until(condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
    """Look until the condition holds; fail after `timeout` seconds, saying what was waited for."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:g} s without success for {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The pipeline as `make run` starts it, on its own ports and keeping video, ready."""
    folder = tmp_path_factory.mktemp("pipeline")
    with Pipeline(load(DEFAULT, ["recorder.video=true"]), folder) as running:
        running.wait_ready()
        yield running


@contextlib.contextmanager
def linked_hosts(rate: str, latency_ms: float) -> Iterator[ThinLink]:
    """Give two hosts, as network namespaces with a link; skip where they cannot be made."""
    for tool in ("ip", "tc"):
        require_tool(tool)
    if os.geteuid():
        pytest.skip("needs root, for network namespaces")
    with contextlib.ExitStack() as stack:
        try:
            link = stack.enter_context(ThinLink(rate, latency_ms))
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", None) or error
            pytest.skip(f"this system has no namespaces, or no tbf: {str(reason).strip()}")
        yield link


@pytest.fixture
def link() -> Iterator[ThinLink]:
    """Two hosts with a fast link."""
    with linked_hosts("1gbit", 50) as link:
        yield link
