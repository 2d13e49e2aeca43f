"""The command lines of the documentation that start processes, exactly as they are written."""

import subprocess
from pathlib import Path

import pytest

from tests import documented_commands as documented
from tests.conftest import require_tool
from tests.sandbox import has_network, make_sandbox, run_line

# An endless command that still runs after this was started well.
RUNS_S = 8.0
STILL_RUNS = 124


def is_current(work: Path) -> bool:
    """Whether make has nothing to do to the environment."""
    return subprocess.run(["make", "--question", ".venv/.installed"], cwd=work).returncode == 0


@pytest.mark.evidence
@pytest.mark.parametrize("line", documented.to_run(quick=False))
def test_a_command_works_as_it_is_written(line: str, tmp_path: Path) -> None:
    if not has_network():
        pytest.skip("this user may make no network, and the commands' ports may be taken")
    for tool in ("curl", "prometheus"):
        if line.split()[0] == tool:
            require_tool(tool)
    work = make_sandbox(tmp_path)
    if line.startswith("make ") and not is_current(work):
        pytest.skip("the environment is older than its lock, so make would renew it")
    if first := documented.before(line):
        assert run_line(first, work).returncode == 0
    is_endless = documented.matches(line, documented.ENDLESS)
    done = run_line(line, work, documented.beside(line), RUNS_S if is_endless else None)
    output = done.stdout + done.stderr
    may_fail = documented.matches(line, documented.MAY_FAIL) and done.returncode == 1
    assert may_fail or done.returncode == (STILL_RUNS if is_endless else 0), output
    assert "Traceback" not in output
