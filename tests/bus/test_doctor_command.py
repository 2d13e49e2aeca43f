"""`emostream doctor` as its own process, on free ports, on taken ones and next to a stage."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest
from prometheus_client import CollectorRegistry

from emostream.services.cli.processes import procfile
from emostream.services.cli.processes.pipeline import with_private_addresses
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import Config
from emostream.shared.health import Health
from emostream.shared.metrics_server import MetricsServer

ROOT = Path(__file__).parents[2]
Findings: TypeAlias = dict[str, dict[str, str]]
Doctor: TypeAlias = Callable[..., tuple[int, Findings]]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return with_private_addresses(Config(), tmp_path)


@pytest.fixture
def doctor(config: Config, tmp_path: Path) -> Doctor:
    """Runs the command with these addresses and returns its exit code and its findings by name."""

    def run(*words: str) -> tuple[int, Findings]:
        settings = [
            f"{stage}.{key}={getattr(getattr(config, stage), key)}"
            for stage in STAGES
            for key in ("bind", "metrics")
        ]
        settings += [f"display.page={config.display.page}", f"recorder.folder={tmp_path}"]
        command = [sys.executable, "-m", "emostream", "doctor", "--json"]
        command += [word for setting in settings for word in ("--set", setting)]
        done = subprocess.run(
            [*command, *words], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
        )
        assert not done.stderr
        told = json.loads(done.stdout)
        assert told["ready"] == (done.returncode == 0)
        return done.returncode, {row["check"]: row for row in told["findings"]}

    return run


def test_a_machine_that_is_well(doctor: Doctor) -> None:
    code, found = doctor()
    assert code == 0, found
    assert {"Python", "packages", "cameras", "source demo", "model", "GPU", "ports", "disk"} <= {
        *found
    }
    assert "sha256" in found["model"]["found"]


def test_a_taken_port_is_told_with_its_owner(doctor: Doctor, config: Config) -> None:
    host, _, number = config.display.page.rpartition(":")
    with socket.create_server((host, int(number))):
        code, found = doctor()
    assert code == 1
    row = found[f"port {number}"]
    assert row["status"] == "problem"
    assert f"(pid {os.getpid()})" in row["found"]
    assert "display.page" in row["advice"]


def test_a_pipeline_that_runs_already_is_recognized(doctor: Doctor, config: Config) -> None:
    host, _, number = config.capture.metrics.rpartition(":")
    with closing(
        MetricsServer("capture", host, int(number), CollectorRegistry(), Health(silent_after=10))
    ):
        code, found = doctor("capture")
    assert code == 1
    assert "already running here: capture" in found["ports"]["found"]
    assert f"port {number}" not in found


def test_only_what_the_named_stages_need_is_looked_at(doctor: Doctor, config: Config) -> None:
    host, _, number = config.display.page.rpartition(":")
    with socket.create_server((host, int(number))):
        code, found = doctor("detector", "classifier")
    assert code == 0
    assert not {"cameras", "source demo", "disk", "page"} & {*found}
    assert {"detector", "model", "GPU"} <= {*found}


def test_a_system_without_what_opencv_needs_is_told_what_to_install(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code, found = doctor()
    assert code == 1
    assert "libGL.so.1" in found["packages"]["found"]
    assert "apt-get install libgl1" in found["packages"]["advice"]
    assert {"source demo", "ports", "disk"} <= {*found}


def test_bad_settings_end_with_one_line_and_code_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emostream", "doctor", "--set", "detector.backend=nose"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: configuration: detector.backend")
    assert done.stderr.count("\n") == 1


def test_without_a_stage_those_of_the_procfile_are_looked_at(tmp_path: Path) -> None:
    # As `emostream init` writes it for the host of the classifier: the detector is on another one.
    (tmp_path / "Procfile").write_text(
        procfile.procfile("emostream.toml", ["classifier"])
        + "standby: exec emostream supervise recorder --standby\n"
    )
    (tmp_path / "emostream.toml").write_text(
        '[security]\nmode = "disabled"\n[detector]\nbind = "tcp://192.0.2.1:5552"\n'
        '[classifier]\nbind = "tcp://127.0.0.1:*"\nmetrics = "127.0.0.1:0"\n'
    )
    command = [sys.executable, "-m", "emostream", "doctor", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    found = {row["check"]: row for row in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0, found
    assert "model" in found
    assert not {"cameras", "port 5552", "page", "disk"} & {*found}
