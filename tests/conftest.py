"""What all tests share: the tools that they need, and the data that does not ship."""

import os
import shutil
import signal
from pathlib import Path
from typing import NoReturn

import pytest

# Whole pipelines are timed, so they run one after the other in one process: no two of them fight
# for the CPU.
TIMED = ("system", "test_live")
# These are not: they mostly wait, or lose no frame however slow they are.
UNTIMED = (
    *(
        "test_analyze",
        "test_batch",
        "test_batch_cluster",
        "test_documented_commands",
        "test_honcho_report",
        "test_recordings",
    ),
    *("test_remote_gpu", "test_run_figures", "test_security_stress", "test_wheel"),
)
# Each of these has its own process. The others run one after another.
ALONE = ("test_analyze", "test_remote_gpu", "test_wheel")
# No more than two browsers at a time: these in one of two processes, the others in the second.
BROWSER_1 = ("test_commands", "test_page", "test_state", "test_tiles")
# TensorFlow takes seconds and 0.4 GB to load, so one process does it for all.
TENSORFLOW = (
    *("test_calibration", "test_distillation", "test_mean_weights", "test_training"),
    *("test_model_alexnet", "test_model_classifier", "test_model_engines", "test_model_export"),
    *("test_model_legacy", "test_model_residual", "test_models_command", "test_original_loop"),
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
        if folder in SLOW or any(map(item.get_closest_marker, ("heavy", "evidence"))):
            item.add_marker(pytest.mark.slow)
        group = _group(folder, item.path.stem, item.name)
        if group == "timed":
            item.add_marker(pytest.mark.timed)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_place)


def _group(folder: str, module: str, name: str) -> str:
    if module == "test_documented_commands":
        return name
    if folder in TIMED or module in TIMED:
        return module if module in ALONE else "waiting" if module in UNTIMED else "timed"
    if folder == "browser":
        return f"browser {1 if module in BROWSER_1 else 2}"
    return "tensorflow" if module in TENSORFLOW else module


def _place(item: pytest.Item) -> int:
    """Put what takes longest first, so that no process is left alone with it."""
    module = item.path.stem
    if module in TENSORFLOW or item.path.parent.name == "browser":
        return 0
    return 1 if module in UNTIMED else 2


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
