"""The systemd units: systemd knows all that they say, and their command lines are good."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from emostream.services.cli.main import main
from emostream.services.cli.processes.restarts import RULES, Action, end_of
from emostream.services.cli.processes.stages import ALL_STAGES
from emostream.shared.errors import ExitCode
from emostream.shared.shipped_files import ROOT

UNITS = ROOT / "docker" / "systemd"
COMMON = UNITS / "emostream-.service.d" / "all.conf"
# Fully open is 10; systemd calls less than 2 well protected.
MOST_EXPOSED = 2.0


def program(name: str) -> str:
    """Return the path of a program of systemd, which few containers have."""
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that is there instead of the installed one."""
    for path in UNITS.rglob("*.*"):
        if path.is_file():
            copied = tmp_path / path.relative_to(UNITS)
            copied.parent.mkdir(exist_ok=True)
            text = path.read_text("utf-8")
            copied.write_text(text.replace("/opt/emostream/bin/emostream", "/bin/true"))
    return tmp_path


def analyze(units: Path, *words: str) -> str:
    """Return what systemd-analyze says; "" where it finds nothing wrong."""
    done = subprocess.run(
        [program("systemd-analyze"), *words],
        env={"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def exec_start(stage: str) -> list[str]:
    text = (UNITS / f"emostream-{stage}@.service").read_text("utf-8")
    (line,) = re.findall(r"^ExecStart=(.+)$", text, re.M)
    words: list[str] = line.split()
    return words


def test_each_stage_has_a_unit() -> None:
    assert {path.name for path in UNITS.glob("*.service")} == {
        f"emostream-{stage}@.service" for stage in ALL_STAGES
    }


@pytest.mark.parametrize("stage", ALL_STAGES)
def test_systemd_finds_nothing_wrong(units: Path, stage: str) -> None:
    unit = f"emostream-{stage}@0.service"
    assert analyze(units, "verify", "--man=no", "emostream.target", unit) == ""


def test_what_all_have_in_common_is_looked_at_too(units: Path) -> None:
    common = units / "emostream-.service.d" / "all.conf"
    common.write_text(common.read_text() + "ProtectEverything=yes\n")
    assert "ProtectEverything" in analyze(units, "verify", "--man=no", "emostream-relay@0.service")


@pytest.mark.parametrize("stage", ALL_STAGES)
def test_each_is_well_protected(units: Path, stage: str) -> None:
    unit = f"emostream-{stage}@0.service"
    said = analyze(units, "security", "--offline=true", "--no-pager", unit)
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert float(exposure) < MOST_EXPOSED


def test_the_user_is_one_that_systemd_makes(tmp_path: Path) -> None:
    (user,) = re.findall(r"^User=(.+)$", COMMON.read_text("utf-8"), re.M)
    told = UNITS / "emostream.sysusers.conf"
    (tmp_path / "etc").mkdir()
    done = subprocess.run(
        [program("systemd-sysusers"), "--dry-run", f"--root={tmp_path}", "--inline", *lines(told)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"'{user}'" in done.stderr


def lines(path: Path) -> list[str]:
    """Return the lines of a file that are no comments."""
    return [each for each in path.read_text("utf-8").splitlines() if not each.startswith("#")]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ALL_STAGES)
def test_its_command_line_is_good(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, supervise, *words = exec_start(stage)
    assert (Path(path).name, supervise) == ("emostream", "supervise")
    config = tmp_path / "emostream.toml"
    config.write_text(f"[recorder]\nfolder = '{tmp_path}/recordings'\n")
    # As systemd puts in the instance, and a variable that is not set.
    words = [word.replace("%i", "1") for word in words if word != "$EMOSTREAM_ARGS"]
    words[words.index("--config") + 1] = str(config)
    assert words[0] == stage
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--check-config"]) == 0


def test_an_end_that_no_restart_fixes_is_final() -> None:
    (codes,) = re.findall(r"^RestartPreventExitStatus=(.+)$", COMMON.read_text("utf-8"), re.M)
    final = {code for code in ExitCode if RULES[end_of(code)].pipeline is Action.FINAL}
    assert set(map(int, codes.split())) == final
