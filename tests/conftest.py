"""What all tests share: the tools that they need, and the data that does not ship."""

import os
import shutil
import signal
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "shared" / "data"


def take_sigint() -> None:
    """Let Ctrl-C end a child, as its `preexec_fn`: under nohup it would inherit to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
