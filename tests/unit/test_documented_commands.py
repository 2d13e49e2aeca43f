"""Every command line of the documentation is run by a test, or not run for a reason."""

from pathlib import Path

import pytest

from emostream.services.cli.commands import COMMANDS
from emostream.services.cli.main import main
from emostream.services.cli.processes.stages import ALL_STAGES
from tests import documented_commands as documented
from tests.conftest import require_tool
from tests.sandbox import make_sandbox, run_line

PAGE = """
Text with `emostream top --once` and `no command`, a table:

| `emostream models export A\\|B` | does |

```sh
emostream analyze a.mp4   # comment
make \\
  run
```

```python
emostream = 1
```
"""


def test_command_lines_are_found_in_text_and_in_blocks() -> None:
    found = documented.lines_of(PAGE)
    assert found == [
        "emostream analyze a.mp4",
        "make run",
        "emostream top --once",
        "emostream models export A|B",
    ]


def test_every_command_line_begins_with_a_known_program() -> None:
    """One that does not is neither run nor listed by mistake."""
    assert len(documented.command_lines()) > 60
    for line in documented.to_run(quick=False):
        first = next(word for word in line.split() if "=" not in word)
        assert Path(first).name in documented.PROGRAMS, line


def test_no_exception_is_left_of_a_line_that_is_gone() -> None:
    lines = documented.command_lines()
    for pattern in (*documented.NOT_RUN, *documented.MENTIONS, *documented.ENDLESS):
        assert any(documented.matches(line, (pattern,)) for line in lines), pattern


@pytest.mark.parametrize("line", documented.MENTIONS)
def test_a_command_that_is_mentioned_is_there(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *words = line.split()
    if program != "emostream":
        assert words in (["-m", "emostream"], ["-P"])  # Python's own
        return
    names = [word.replace("STAGE", "detector") for word in words]
    command = names[: 2 if names[0] == "models" and len(names) > 1 else 1]
    assert command[0] in {*ALL_STAGES, *COMMANDS}
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    help_text = capsys.readouterr().out
    for option in (word for word in names if word.startswith("--")):
        assert option in help_text


@pytest.mark.slow
@pytest.mark.parametrize("line", documented.to_run(quick=True))
def test_a_quick_command_works_as_it_is_written(line: str, tmp_path: Path) -> None:
    for tool in ("jq", "promtool"):
        if tool in line.split():
            require_tool(tool)
    work = make_sandbox(tmp_path)
    done = run_line(line, work)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
