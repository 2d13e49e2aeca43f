"""The pages of the documentation: a short README, all pages listed, no broken links."""

import importlib
import re
from pathlib import Path

import pytest

from emostream.services.cli.commands import COMMANDS
from emostream.services.cli.processes.stages import ALL_STAGES

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*.md")])
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
IMPORT = re.compile(r"^from (emostream[\w.]*) import ([\w, ]+)", re.MULTILINE)
CLASS = re.compile(r"`(emostream[\w.]*)\.([A-Z]\w+)`")


def anchors(page: Path) -> set[str]:
    """Return the anchors of the page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text("utf-8")), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {each.replace(" ", "-") for each in words}


def test_the_readme_is_one_page() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 110
    for debian_package in ("chromium", "xvfb", "iproute2", "faketime", "nodejs", "prometheus"):
        assert f"`{debian_package}`" in text


def test_the_table_of_contents_lists_every_page() -> None:
    contents = LINK.findall((ROOT / "docs" / "README.md").read_text("utf-8"))
    pages = {page.name for page in ROOT.glob("docs/*.md")} - {"README.md"}
    assert pages <= set(contents), "add the page to docs/README.md"


def test_the_table_of_commands_lists_every_command() -> None:
    text = (ROOT / "docs" / "commands.md").read_text("utf-8")
    listed = set(re.findall(r"^\| `emostream (\w+)` \|", text, re.MULTILINE))
    assert listed == {*ALL_STAGES, *COMMANDS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_what_the_pages_import_is_there() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    found = [*IMPORT.findall(text), *CLASS.findall(text)]
    assert ("emostream", "Recognizer") in found
    for module, names in found:
        for name in names.split(", "):
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"
