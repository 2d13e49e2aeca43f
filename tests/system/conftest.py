"""Real processes for the tests: the whole pipeline, started once for the tests that only watch."""

import time
from collections.abc import Callable, Iterator

import pytest

from emostream.services.cli.processes.pipeline import Pipeline
from emostream.shared.config import load
from emostream.shared.shipped_files import ROOT

DEFAULT = ROOT / "configs" / "default.toml"


def wait_until(condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
    """Look until the condition holds; fail after `timeout` seconds, saying what was waited for."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain for {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The pipeline as `make run` starts it, on ports of its own and keeping video, ready."""
    folder = tmp_path_factory.mktemp("pipeline")
    with Pipeline(load(DEFAULT, ["recorder.video=true"]), folder) as running:
        running.wait_ready()
        yield running
