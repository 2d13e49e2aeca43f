"""What all tests share: the tools that they need, and the data that does not ship."""

import os
import shutil
import signal
from pathlib import Path
from typing import NoReturn

import pytest

# Whole pipelines are timed, so they run one after the other in one process: no two of them fight
# for the processor.
TIMED = ("system", "test_live")
# These are not timed: each has a network of its own, or none, and mostly waits.
WAITING = ("test_documented_commands", "test_wheel")
# TensorFlow takes seconds and 0.4 GB to load, so one process does it for all.
TENSORFLOW = (
    *("test_calibration", "test_distillation", "test_mean_weights", "test_training"),
    *("test_model_alexnet", "test_model_classifier", "test_model_engines", "test_model_export"),
    *("test_model_legacy", "test_models_command", "test_original_loop"),
)
# Whole pipelines and a browser take seconds each.
SLOW = ("system", "browser")
TESTS = Path(__file__).parent
DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and give each test its group; the others go by module."""
    for item in items:
        folder, *_ = item.path.relative_to(TESTS).parts
        if folder in SLOW or item.get_closest_marker("heavy"):
            item.add_marker(pytest.mark.slow)
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(_group(folder, item.path.stem, item.name)))


def _group(folder: str, module: str, name: str) -> str:
    if module == "test_documented_commands":
        return name
    if module not in WAITING and (folder in TIMED or module in TIMED):
        return "timed"
    return "tensorflow" if module in TENSORFLOW else module


def take_sigint() -> None:
    """Let Ctrl-C end a child, as its `preexec_fn`: under nohup it would inherit to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def fail_with(error: Exception) -> NoReturn:
    """Fail the test: the callback for an error that is not expected."""
    pytest.fail(str(error))


def require_tool(*names: str) -> str:
    """Return the path of the first of these programs that is there.

    Without any the test skips; on CI, which installs them, it fails.
    """
    for name in names:
        if path := shutil.which(name):
            return path
    reason = f"{' or '.join(names)} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
