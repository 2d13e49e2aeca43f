"""What is wrong in the configuration that all stages share is reported once under honcho."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emostream.shared.errors import ExitCode
from emostream.shared.shipped_files import ROOT


@pytest.mark.parametrize(
    ("text", "arguments"),
    [("[detector]\nthreds = 1\n", ""), ("", "--set detector.threds=1"), ("a: b\n", "")],
)
def test_a_wrong_configuration_is_reported_once(text: str, arguments: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("honcho")), "start", "--no-colour"],
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "EMOSTREAM_CONFIG": str(path),
            "EMOSTREAM_ARGS": arguments,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == ExitCode.USAGE
    assert (done.stdout + done.stderr).count("x.toml: ") == 1, done.stdout
