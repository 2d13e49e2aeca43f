"""Every command in a folder works with the configuration that `honcho start` would take there."""

from pathlib import Path

import pytest

from emostream.services.cli.given_config import ARGS_VARIABLE, CONFIG_VARIABLE
from emostream.services.cli.main import main
from emostream.services.cli.processes.stages import ALL_STAGES
from emostream.shared.errors import ExitCode
from emostream.shared.shipped_files import FOLDER_CONFIG

COMMANDS = [
    *([stage, "--check-config"] for stage in ALL_STAGES),
    ["supervise", "capture"],
    ["config"],
    ["doctor"],
    ["top", "--once"],
    ["export"],
    ["replay", "x.db"],
    ["subscribe", "--timeout", "1"],
]
WRONG = "[detector]\nthreds = 1\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and none of the variables set."""
    monkeypatch.chdir(tmp_path)
    for name in (CONFIG_VARIABLE, ARGS_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_every_command_reads_the_file_in_its_folder(
    words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / FOLDER_CONFIG).write_text(WRONG)
    assert main(words) == ExitCode.USAGE
    assert f"{FOLDER_CONFIG}: line 2: " in capsys.readouterr().err


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_every_command_reads_the_file_that_the_environment_names(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("other.toml").write_text(WRONG)
    Path(FOLDER_CONFIG).write_text("")
    monkeypatch.setenv(CONFIG_VARIABLE, "other.toml")
    assert main(words) == ExitCode.USAGE
    assert "other.toml: line 2: " in capsys.readouterr().err


def test_the_check_names_the_file_that_it_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["capture", "--check-config"]) == ExitCode.OK
    (folder / FOLDER_CONFIG).write_text("")
    assert main(["capture", "--check-config"]) == ExitCode.OK
    assert capsys.readouterr().out == f"defaults: good\n{FOLDER_CONFIG}: good\n"


def test_a_link_that_leads_nowhere_is_not_passed_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / FOLDER_CONFIG).symlink_to("moved.toml")
    assert main(["capture", "--check-config"]) == ExitCode.USAGE
    assert f"{FOLDER_CONFIG}: cannot be read: " in capsys.readouterr().err


def test_export_looks_where_the_recorder_writes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / FOLDER_CONFIG).write_text('[recorder]\nfolder = "sessions"\n')
    assert main(["export"]) == ExitCode.FAILURE
    assert "sessions/emostream.db" in capsys.readouterr().err
    monkeypatch.setenv(ARGS_VARIABLE, "--set recorder.folder=night")
    assert main(["export"]) == ExitCode.FAILURE
    assert "night/emostream.db" in capsys.readouterr().err


def test_an_analysis_keeps_its_own_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / FOLDER_CONFIG).write_text(WRONG)
    assert main(["analyze", "none.mp4"]) == ExitCode.FAILURE
    assert "none.mp4: no such file" in capsys.readouterr().err
