"""The Procfile, and the command lines of the stages that it starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from emostream.services.cli.processes.child_process import arguments_of, stage_command
from emostream.services.cli.processes.procfile import procfile
from emostream.shared.shipped_files import ROOT


def test_that_of_the_checkout_is_the_one_for_all_stages() -> None:
    assert (ROOT / "Procfile").read_text("utf-8") == procfile("configs/default.toml")


def test_it_starts_the_stages_that_are_named() -> None:
    content = procfile("my.toml", ["capture", "display"], "/opt/my env/bin/emostream")
    assert content.splitlines()[1] == (
        "display: exec /opt/my env/bin/emostream supervise display"
        ' --config "${EMOSTREAM_CONFIG:-my.toml}" $EMOSTREAM_ARGS'
    )
    assert content.count("\n") == 2


def test_a_process_of_ours_is_known_by_its_command_line() -> None:
    assert arguments_of(stage_command("capture", "--set", "a=b")) == ["capture", "--set", "a=b"]
    assert arguments_of(["python", "-m", "emostream", "top"]) == ["top"]
    assert arguments_of(["nginx", "-m", "emostream.conf"]) == []
    assert arguments_of([]) == []


@pytest.mark.parametrize("name", ["models", "shared", "services", "emostream", "queue", "cv2"])
def test_modules_in_the_working_folder_are_not_in_the_way(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the working folder')\n")
    done = subprocess.run(
        stage_command("detector", "--check-config"), cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b""), sys.executable
