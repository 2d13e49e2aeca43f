"""The image and compose: what it copies and installs, and what its containers start and ask."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emostream.services.cli.healthy import command as healthy
from emostream.services.cli.main import main
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import load
from emostream.shared.optional_groups import packages_of
from emostream.shared.shipped_files import ROOT, SETTINGS_PAGE
from tests.hidden_packages import closure
from tests.manifests import merged
from tests.monitoring import DOCKER
from tests.monitoring import load as load_yaml

TENSORFLOW = {"tensorflow", "keras", "jax", "torch"}


def test_it_copies_each_folder_that_setup_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, dict[str, str]] = {}
    replacement = SimpleNamespace(setup=asked.update, find_packages=lambda **_: [])
    monkeypatch.setitem(sys.modules, "setuptools", replacement)
    exec((ROOT / "setup.py").read_text("utf-8"), {})
    before, _, _ = (ROOT / "docker" / "Dockerfile").read_text("utf-8").partition("--editable")
    copied = [name for line in re.findall(r"^COPY (.+)$", before, re.M) for name in line.split()]
    wanted = {*asked["package_dir"].values(), "setup.py", "pyproject.toml"} - {"docs"}
    # Of the pages only what the code reads, and the schemas for programs.
    wanted |= {str(SETTINGS_PAGE.relative_to(ROOT)), "docs/schemas"}
    assert wanted <= set(copied)
    assert all((ROOT / Path(name)).exists() for name in wanted)


def test_the_default_image_has_no_tensorflow() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text("utf-8")
    (groups,) = re.findall(r"^ARG EXTRAS=(.+)$", dockerfile, re.M)
    found = installed(*groups.split(","))
    assert {"ai-edge-litert", "onnxruntime", "starlette"} <= found
    assert not found & TENSORFLOW
    # So that it is no accident that it is not found.
    assert installed("stages", "keras") & TENSORFLOW


def installed(*groups: str) -> set[str]:
    """Return the packages that an image with these groups has."""
    return closure(packages_of("").union(*map(packages_of, groups)))


def stages_of(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in compose["services"].items() if name in STAGES}


def test_each_stage_of_compose_starts_and_is_asked_for_its_own_health(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compose = load_yaml(DOCKER / "compose.yaml")
    config = str(DOCKER / "compose.toml")
    asked: list[str] = []

    def answer(url: str, *_: object) -> dict[str, Any]:
        asked.append(url)
        return {"live": True, "phase": "running"}

    monkeypatch.setattr(healthy, "_answer", answer)
    services = stages_of(compose)
    assert services.keys() == STAGES.keys()
    for stage, service in services.items():
        kind, program, *words = service["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "emostream")
        assert words[:2] == ["healthy", stage]
        assert words[2:] == service["command"][1:] == ["--config", "configs/compose.toml"]
        assert main([*words[:2], "--config", config]) == 0
    ports = {stage: f"http://0.0.0.0:{port}/livez" for port, stage in enumerate(STAGES, 9101)}
    assert asked == list(ports.values())


def test_no_container_of_compose_is_root_or_writes_where_it_need_not() -> None:
    for name, service in load_yaml(DOCKER / "compose.yaml")["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in service["tmpfs"], name
    dockerfile = (DOCKER / "Dockerfile").read_text("utf-8")
    assert re.search(r"^USER \d+:\d+$", dockerfile, re.M)
    # What the detector keeps of its weights goes where it may write.
    assert "ENV XDG_CACHE_HOME=/tmp/" in dockerfile


def test_with_a_camera_capture_alone_differs() -> None:
    camera = load_yaml(DOCKER / "compose.camera.yaml")
    assert camera["services"].keys() == {"capture"}
    both = merged(load_yaml(DOCKER / "compose.yaml"), camera)
    stage, *words = both["services"]["capture"]["command"]
    assert stage == "capture"
    (setting,) = words[words.index("--set") + 1 :]
    (source,) = load(DOCKER / "compose.toml", [setting]).capture.sources
    (device,) = both["services"]["capture"]["devices"]
    assert device.endswith(f":/dev/video{source.url.removeprefix('camera:')}")
