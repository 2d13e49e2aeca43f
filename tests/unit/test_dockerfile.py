"""The image: what it copies is all that an install of emostream needs."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from emostream.shared.shipped_files import ROOT, SETTINGS_PAGE


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
