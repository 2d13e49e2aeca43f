"""With which exit code `emostream analyze` ends where recordings end differently."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emostream.services.cli import main as cli
from emostream.services.cli.analysis import command
from emostream.shared.errors import ExitCode


@pytest.mark.parametrize(
    ("codes", "gravest"),
    [
        ([ExitCode.OK, ExitCode.OK], ExitCode.OK),
        ([ExitCode.OK, ExitCode.FAILURE], ExitCode.FAILURE),
        ([ExitCode.FAILURE, ExitCode.INCOMPLETE], ExitCode.INCOMPLETE),
        ([ExitCode.STOPPED, ExitCode.INCOMPLETE], ExitCode.STOPPED),
    ],
)
def test_the_gravest_exit_code_wins(
    codes: list[ExitCode], gravest: ExitCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: Iterator[ExitCode] = iter(codes)

    class Job:
        """Ends with the next of the codes."""

        def __init__(self, *_: object) -> None: ...

        def run(self) -> ExitCode:
            """Return the code."""
            return next(left)

    monkeypatch.setattr(command, "VideoJob", Job)
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    assert cli.main(["analyze", str(tmp_path)]) == gravest
